/**
 * `deno task test [--real] [OPTION…]`: all tests, in three runs. First, files that start no process run side by
 * side, one thread for each processor and one more. Then those that start processes, a few files at a time in
 * processes of their own: a process that is being started holds the locks of all threads for a moment, and a
 * lock that another thread has released is then still taken. Last, those that measure, one after the other,
 * because each should have the machine for itself.
 *
 * With `--real`, only tests whose result can depend on the user: those that touch the real disk or start
 * processes. A calculation and a simulated disk are the same for every user.
 *
 * Other options go to both runs, for example `--filter`.
 */

import { weightOf, WEIGHTS } from "./weights.ts";

const directory = decodeURIComponent(new URL("..", import.meta.url).pathname);

/**
 * What a file uses that must run alone: it measures time or memory, or it tells or changes something about
 * the whole process. Files that run side by side are threads of one process.
 */
const ALONE =
  /performance\.now\(|cpuUsage|memoryUsage|\/proc\/self|Deno\.(?:chdir|umask|addSignalListener)\b/;

/** What a file uses that touches the real disk, the network, or starts a process. */
const REAL = new RegExp([
  String.raw`\bsystemStorage\b|support/(?:temporary|process)\.ts`,
  String.raw`Deno\.(?:Command|connect|listen|serve|makeTemp\w+|uid)\b`,
].join("|"));

/** What a file uses that starts a process. */
const STARTS = /Deno\.Command\b/;

/** Says of a test file whether it, or a file below `tests/` that it imports, contains a pattern. */
function searcher(pattern: RegExp, isSearched: (path: string) => boolean) {
  const known = new Map<string, boolean>();
  const contains = (path: string): boolean => {
    const before = known.get(path);
    if (before !== undefined) return before;
    known.set(path, false);
    const text = Deno.readTextFileSync(path);
    const imported = [...text.matchAll(/^(?:import|export|\}).* from "(\.[^"]+)";$/gm)]
      .map((match) => decodeURIComponent(new URL(match[1] ?? "", `file://${path}`).pathname))
      .filter((other) => other.startsWith(directory) && isSearched(other));
    const found = pattern.test(text) || imported.some(contains);
    known.set(path, found);
    return found;
  };
  return contains;
}

// What support measures ends a wait that failed.
const runsAlone = searcher(ALONE, (path) => !path.startsWith(`${directory}support/`));
const isReal = searcher(REAL, () => true);
const starts = searcher(STARTS, () => true);

/** By the run that they belong to; of the first two, the longest first. */
interface TestFiles {
  readonly inProcess: string[];
  readonly withProcesses: string[];
  readonly alone: string[];
}

function testFiles(): TestFiles {
  const inProcess: string[] = [];
  const withProcesses: string[] = [];
  const alone: string[] = [];
  const look = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) look(`${path}${name}/`);
      if (!name.endsWith("_test.ts")) continue;
      const file = `${path}${name}`;
      (runsAlone(file) ? alone : starts(file) ? withProcesses : inProcess).push(file);
    }
  };
  look(directory);
  const weight = (file: string) => weightOf(file.slice(directory.length), WEIGHTS);
  const order = (left: string, right: string) =>
    weight(right) - weight(left) || (left < right ? -1 : 1);
  return {
    inProcess: inProcess.sort(order),
    withProcesses: withProcesses.sort(order),
    alone: alone.sort(),
  };
}

const AT_ONCE = navigator.hardwareConcurrency + 1;
/** Few enough that the last run ends soon after the others, and enough that starts cost little. */
const FILES_PER_PROCESS = 5;

async function isGreen(options: readonly string[], files: readonly string[]): Promise<boolean> {
  const args = ["test", "-A", ...options, ...files];
  const env = { DENO_JOBS: String(AT_ONCE) };
  return (await new Deno.Command(Deno.execPath(), { args, env }).spawn().status).success;
}

/**
 * Runs files in several processes. Prints the names of the files of each when it starts, because one that hangs
 * prints nothing else, and its output when it ends.
 */
async function areGreenApart(
  options: readonly string[],
  files: readonly string[],
): Promise<boolean> {
  const waiting = [...files];
  let areGreen = true;
  const runNext = async () => {
    while (waiting.length > 0) {
      const some = waiting.splice(0, FILES_PER_PROCESS);
      console.log(`begun: ${some.map((file) => file.slice(directory.length)).join(" ")}`);
      // Their types are those that the other runs check, and `deno task ok`.
      const args = [
        "test",
        "-A",
        "--no-check",
        ...options,
        ...some,
      ];
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args })
        .output();
      areGreen &&= success;
      const decoder = new TextDecoder();
      console.log(decoder.decode(stdout) + decoder.decode(stderr));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runNext));
  return areGreen;
}

if (import.meta.main) {
  const options = Deno.args.filter((option) => option !== "--real");
  const isWanted = Deno.args.includes("--real") ? isReal : () => true;
  const { inProcess, withProcesses, alone } = testFiles();
  const first = await isGreen(["--parallel", ...options], inProcess.filter(isWanted));
  const second = await areGreenApart(options, withProcesses.filter(isWanted));
  const third = await isGreen(options, alone.filter(isWanted));
  Deno.exit(first && second && third ? 0 : 1);
}

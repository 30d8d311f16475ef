/**
 * `deno task test [--real] [OPTION…]`: all tests, in two runs. In the first, test files run side by side, one
 * more than there are processors, because many wait for the processes that they start. In the second, those
 * that measure run one after the other, because each should have the machine for itself.
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

/** The test files that run side by side, the longest first, and those that run alone. */
function testFiles(): { readonly sideBySide: string[]; readonly alone: string[] } {
  const sideBySide: string[] = [];
  const alone: string[] = [];
  const look = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) look(`${path}${name}/`);
      if (!name.endsWith("_test.ts")) continue;
      const file = `${path}${name}`;
      (runsAlone(file) ? alone : sideBySide).push(file);
    }
  };
  look(directory);
  const weight = (file: string) => weightOf(file.slice(directory.length), WEIGHTS);
  const order = (left: string, right: string) =>
    weight(right) - weight(left) || (left < right ? -1 : 1);
  return { sideBySide: sideBySide.sort(order), alone: alone.sort() };
}

async function isGreen(options: readonly string[], files: readonly string[]): Promise<boolean> {
  const args = ["test", "-A", ...options, ...files];
  const env = { DENO_JOBS: String(navigator.hardwareConcurrency + 1) };
  return (await new Deno.Command(Deno.execPath(), { args, env }).spawn().status).success;
}

if (import.meta.main) {
  const options = Deno.args.filter((option) => option !== "--real");
  const isWanted = Deno.args.includes("--real") ? isReal : () => true;
  const { sideBySide, alone } = testFiles();
  const first = await isGreen(["--parallel", ...options], sideBySide.filter(isWanted));
  const second = await isGreen(options, alone.filter(isWanted));
  Deno.exit(first && second ? 0 : 1);
}

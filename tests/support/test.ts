/**
 * `deno task test`: all tests, in two runs. Test files that only calculate run side by side, one for each
 * processor. Those that start processes, open sockets or measure time run one after the other, because
 * each should have the machine for itself. Arguments go to both runs, for example `--filter`.
 */

const directory = decodeURIComponent(new URL("..", import.meta.url).pathname);

/**
 * What a file uses that must run alone. Files that it imports from here count as well. Files that run side
 * by side are threads of one process, so what tells about the whole process counts too.
 */
const ALONE = new RegExp([
  String.raw`Deno\.(Command|connect|listen|serve|memoryUsage)`,
  String.raw`performance\.now|setTimeout|fetch\(`,
  String.raw`support/(process|wait)\.ts`,
  "/proc/self",
].join("|"));

/** Files that would run alone by the rule above, but mostly wait. */
const WAITING = ["process/silent_server_test.ts"];

const known = new Map<string, boolean>();

function runsAlone(path: string): boolean {
  const before = known.get(path);
  if (before !== undefined) return before;
  known.set(path, false);
  const text = Deno.readTextFileSync(path);
  const imported = [...text.matchAll(/from "(\.[^"]+)"/g)]
    .map((match) => decodeURIComponent(new URL(match[1] ?? "", `file://${path}`).pathname));
  const alone = ALONE.test(text) ||
    imported.some((other) => other.startsWith(directory) && runsAlone(other));
  known.set(path, alone);
  return alone;
}

/** The test files that run side by side, and those that run one after the other. */
export function testFiles(): { readonly sideBySide: string[]; readonly inTurn: string[] } {
  const sideBySide: string[] = [];
  const inTurn: string[] = [];
  const look = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) look(`${path}${name}/`);
      if (!name.endsWith("_test.ts")) continue;
      const file = `${path}${name}`;
      const isWaiting = WAITING.includes(file.slice(directory.length));
      (runsAlone(file) && !isWaiting ? inTurn : sideBySide).push(file);
    }
  };
  look(directory);
  return { sideBySide: sideBySide.sort(), inTurn: inTurn.sort() };
}

async function isGreen(options: readonly string[], files: readonly string[]): Promise<boolean> {
  const args = ["test", "-A", ...options, ...Deno.args, ...files];
  return (await new Deno.Command(Deno.execPath(), { args }).spawn().status).success;
}

if (import.meta.main) {
  const { sideBySide, inTurn } = testFiles();
  const first = await isGreen(["--parallel"], sideBySide);
  const second = await isGreen([], inTurn);
  Deno.exit(first && second ? 0 : 1);
}

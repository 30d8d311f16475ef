/**
 * Runs a program as an ordinary user from tests that run as root: user and group 65534, no supplementary
 * groups, through `setpriv`, which replaces itself so that the pid stays.
 *
 * An ordinary user cannot reach everything that root can (a home directory of mode 0700, for example). What
 * the program needs and cannot reach is copied into a world-readable directory for the time of the test
 * module.
 */

export type RunAs = "self" | "ordinary";

/** The ordinary user and its group, which have no other rights on most systems. */
export const ORDINARY_ID = 65534;

const becomeOrdinary = [
  "setpriv",
  `--reuid=${ORDINARY_ID}`,
  `--regid=${ORDINARY_ID}`,
  "--clear-groups",
  "--",
];

export function runningAsRoot(): boolean {
  return Deno.uid() === 0;
}

/** Gives `path` and everything below it to the ordinary user, when the tests run as root. */
export function giveToOrdinaryUser(path: string): void {
  if (!runningAsRoot()) return;
  const entry = Deno.lstatSync(path);
  if (entry.isSymlink) return;
  Deno.chownSync(path, ORDINARY_ID, ORDINARY_ID);
  if (!entry.isDirectory) return;
  for (const child of Deno.readDirSync(path)) giveToOrdinaryUser(`${path}/${child.name}`);
}

/**
 * `command` so that the ordinary user runs it: the same command when the tests do not run as root.
 * Arguments that lie below `projectRoot`, and the program, are replaced by copies when the ordinary
 * user cannot read them.
 */
export function ordinaryCommand(command: readonly string[], projectRoot: string): string[] {
  if (!runningAsRoot()) return [...command];
  const [program, ...args] = command as [string, ...string[]];
  return [
    ...becomeOrdinary,
    "env",
    `HOME=${place("home")}`,
    `DENO_DIR=${runtimeDirectory(projectRoot)}`,
    reachableProgram(program),
    ...args.map((argument) =>
      argument.startsWith(projectRoot)
        ? `${reachableProject(projectRoot)}${argument.slice(projectRoot.length)}`
        : argument
    ),
  ];
}

/** A directory that the ordinary user reaches; it is removed with the test module. */
let stage: string | undefined;
const reachable = new Map<string, string>();

function stageDirectory(): string {
  if (stage === undefined) {
    const made = Deno.makeTempDirSync({ prefix: "countd-test-stage-" });
    Deno.chmodSync(made, 0o755);
    globalThis.addEventListener("unload", () => Deno.removeSync(made, { recursive: true }));
    stage = made;
  }
  return stage;
}

/** A writable directory of the ordinary user in the stage. */
function place(name: string): string {
  const path = `${stageDirectory()}/${name}`;
  if (reachable.get(name) === undefined) {
    Deno.mkdirSync(path, { mode: 0o700 });
    Deno.chownSync(path, ORDINARY_ID, ORDINARY_ID);
    reachable.set(name, path);
  }
  return path;
}

/** The runtime's directory of the ordinary user, with the npm packages of the lock file. */
function runtimeDirectory(projectRoot: string): string {
  const known = reachable.get("deno-dir");
  if (known !== undefined) return known;
  const path = place("deno-dir");
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout)) as { npmCache: string };
  const { npm = {} } = JSON.parse(Deno.readTextFileSync(`${projectRoot}deno.lock`)) as {
    npm?: object;
  };
  for (const registry of exists(npmCache) ? Deno.readDirSync(npmCache) : []) {
    for (const name of Object.keys(npm).map((each) => each.slice(0, each.lastIndexOf("@")))) {
      const from = `${npmCache}/${registry.name}/${name}`;
      if (!exists(from)) continue;
      Deno.mkdirSync(`${path}/npm/${registry.name}`, { recursive: true });
      copyReadable(from, `${path}/npm/${registry.name}/${name}`);
    }
  }
  giveToOrdinaryUser(path);
  return path;
}

function ordinaryUserMay(test: "-r" | "-x", path: string): boolean {
  const args = [...becomeOrdinary.slice(1), "test", test, path];
  return new Deno.Command("setpriv", { args }).outputSync().success;
}

function reachableProgram(program: string): string {
  const known = reachable.get(program);
  if (known !== undefined) return known;
  let path = program;
  if (program.startsWith("/") && !ordinaryUserMay("-x", program)) {
    path = `${stageDirectory()}/${program.slice(program.lastIndexOf("/") + 1)}`;
    try {
      Deno.linkSync(program, path); // free of cost on the same file system
      if (!ordinaryUserMay("-x", path)) throw new Error("The link is as unreachable");
    } catch {
      if (exists(path)) Deno.removeSync(path);
      Deno.copyFileSync(program, path);
      Deno.chmodSync(path, 0o755);
    }
  }
  reachable.set(program, path);
  return path;
}

function reachableProject(projectRoot: string): string {
  const known = reachable.get(projectRoot);
  if (known !== undefined) return known;
  let path = projectRoot;
  if (!ordinaryUserMay("-r", `${projectRoot}main.ts`)) {
    path = `${stageDirectory()}/project/`;
    Deno.mkdirSync(path);
    Deno.chmodSync(path, 0o755);
    for (const part of ["deno.json", "deno.lock", "main.ts", "src", "ffi"]) {
      copyReadable(`${projectRoot}${part}`, `${path}${part}`);
    }
  }
  reachable.set(projectRoot, path);
  return path;
}

/** Copies a file, or a directory with all below it, readable for every user whatever the umask is. */
function copyReadable(from: string, to: string): void {
  const isDirectory = Deno.statSync(from).isDirectory;
  if (isDirectory) {
    Deno.mkdirSync(to);
    for (const entry of Deno.readDirSync(from)) {
      copyReadable(`${from}/${entry.name}`, `${to}/${entry.name}`);
    }
  } else {
    Deno.copyFileSync(from, to);
  }
  Deno.chmodSync(to, isDirectory ? 0o755 : 0o644);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

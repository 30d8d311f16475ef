/**
 * Makes the executable: `deno task compile [--target TARGET] [--output FILE]`.
 *
 * The runtime base comes from `DENORT_BIN` if that is set, else from Deno's own download, else, for
 * the one target where that is possible, from the npm registry (see runtime_base.ts).
 */

import { resolve } from "node:path";
import { parseArgs } from "@std/cli/parse-args";
import { V8_FLAGS } from "../../src/cli/self_arguments.ts";
import { fetchRuntimeBase, RUNTIME_BASE } from "./runtime_base.ts";

const projectRoot = decodeURIComponent(new URL("../..", import.meta.url).pathname);

/** Permissions of the executable, as narrow as Deno can express them. */
export const PERMISSIONS: readonly string[] = [
  "--no-prompt",
  // Data directories, backups and sockets are named by the user: anywhere.
  "--allow-read",
  "--allow-write",
  "--allow-net",
  // A library given by name would be searched in the working directory, and pointers need all of FFI.
  "--allow-ffi",
  // The executable starts itself, wherever it was copied to. A test shows that it starts nothing else.
  "--allow-run",
  // `doctor` and `check` compare the owner of a file with the user that runs them.
  "--allow-sys=uid",
  "--allow-env=COUNTD_*,NO_COLOR,TERM,HOME,XDG_STATE_HOME,NOTIFY_SOCKET,WATCHDOG_USEC",
];

export interface CompileOptions {
  /** Default: this machine. */
  readonly target?: string;
  /** Default: `countd` in the project. */
  readonly output?: string;
}

/** Compiles, and returns where the base came from. Throws an Error in words if there is none. */
export async function compile(options: CompileOptions = {}): Promise<string> {
  const target = options.target ?? Deno.build.target;
  const command = { target, output: resolve(options.output ?? `${projectRoot}countd`) };
  const given = Deno.env.get("DENORT_BIN");
  const first = await runCompile(command, given);
  if (first === undefined) return given ?? "the download";
  if (given !== undefined) throw new Error(`Cannot compile with DENORT_BIN=${given}\n${first}`);
  if (!first.includes("base binary")) throw new Error(`Cannot compile for ${target}\n${first}`);
  if (target !== RUNTIME_BASE.target || Deno.version.deno !== RUNTIME_BASE.denoVersion) {
    throw new Error(
      `Cannot compile for ${target}: the runtime base of Deno ${Deno.version.deno} cannot be ` +
        `downloaded from here, and the npm registry has only the one of ` +
        `Deno ${RUNTIME_BASE.denoVersion} for ${RUNTIME_BASE.target}. ` +
        `Set DENORT_BIN to the denort of that version and target`,
    );
  }
  const base = await fetchRuntimeBase(`${projectRoot}.cache`);
  const second = await runCompile(command, base);
  if (second !== undefined) throw new Error(`Cannot compile with ${base}\n${second}`);
  return `the npm registry (${RUNTIME_BASE.package} ${RUNTIME_BASE.packageVersion})`;
}

/** Runs the compiler. Returns undefined on success, else what the compiler said. */
async function runCompile(
  { target, output }: { target: string; output: string },
  base: string | undefined,
): Promise<string | undefined> {
  const command = new Deno.Command(Deno.execPath(), {
    // Types are checked by `deno task ok`.
    // Of the packages in the lock file, only those that the program imports are put in.
    args: ["compile", "--no-check", "--quiet", "--exclude-unused-npm"]
      .concat("--target", target, "--output", output, PERMISSIONS, V8_FLAGS, "main.ts"),
    cwd: projectRoot,
    env: base === undefined ? {} : { DENORT_BIN: base },
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await command.output();
  if (!success) return new TextDecoder().decode(stderr);
  if (target !== Deno.build.target) return undefined;
  const problem = await tryOut(output);
  if (problem !== undefined) Deno.removeSync(output);
  return problem;
}

/** The compiler accepts any file as a base; only a start of the result shows whether it was one. */
async function tryOut(output: string): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await new Deno.Command(output, { args: ["--version"] }).output();
    const said = new TextDecoder().decode(stdout);
    if (said.startsWith("countd ")) return undefined;
    return `${output} --version said: ${said}${new TextDecoder().decode(stderr)}`;
  } catch (error) {
    return `${output} does not start: ${(error as Error).message}`;
  }
}

if (import.meta.main) {
  try {
    const { target, output } = parseArgs(Deno.args, {
      string: ["target", "output"],
      unknown: (argument) => {
        throw new Error(`Unknown argument ${argument}; there are --target and --output`);
      },
    });
    const origin = await compile({
      ...target === undefined ? {} : { target },
      ...output === undefined ? {} : { output },
    });
    console.error(`Made ${output ?? "./countd"}; the runtime base is from ${origin}`);
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(1);
  }
}

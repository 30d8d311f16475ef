/** Streams that accept nothing: stderr or stdout on a full disk, or with a reader that is gone. */
import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { Sink } from "../../src/cli/output.ts";
import { runCommandLine } from "../../src/cli/run.ts";
import { checkData } from "../support/check_data.ts";
import { countdCommand, runProgram, startCountd, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { ArraySink } from "./capture.ts";

/** The errors of a file on a full disk, and of a terminal that hung up. */
const failures = [
  Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" }),
  Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" }),
  new Deno.errors.BrokenPipe("Broken pipe (os error 32)"),
];

class FailingSink extends ArraySink {
  constructor(public error: Error | null) {
    super();
  }

  override writeSync(bytes: Uint8Array): number {
    if (this.error !== null) throw this.error;
    return super.writeSync(bytes);
  }
}

function run(words: readonly string[], streams: { stdout: Sink; stderr: Sink }) {
  return runCommandLine(words, {
    ...streams,
    stderrDescriptor: null,
    stdin: { readable: new Blob([]).stream(), isTerminal: () => false },
    variables: () => undefined,
    clock: systemClock,
  });
}

/** Runs a command line of `countd` with redirections of a shell. */
function redirected(args: readonly string[], redirection: string): string[] {
  return ["sh", "-c", `exec "$@" ${redirection}`, "sh", ...countdCommand(args)];
}

// Story: the message could not be written to a full disk. That second failure decided the exit code, 1, so
// that a script saw the wrong failure.
Deno.test("A message that cannot be written to stderr does not change the exit code", async () => {
  for (const error of failures) {
    for (const [words, code] of [[["config", "nothing"], 3], [["nothing"], 2]] as const) {
      const stdout = new ArraySink();
      assertEquals(await run(words, { stdout, stderr: new FailingSink(error) }), code);
      assertEquals(stdout.text, "");
    }
  }
});

// A remark about a damaged file or a refused line is written while the command still runs.
Deno.test("A remark that cannot be written to stderr leaves the data on stdout whole", async () => {
  await withTemporaryDirectory(async (directory) => {
    const good = { stdout: new ArraySink(), stderr: new ArraySink() };
    await run(["kv", "set", "k", "v", "--data", directory], good);
    assertEquals(await run(["check", "--data", directory], good), 0);
    assertEquals(good.stderr.text === "", false);
    for (const error of failures) {
      const stdout = new ArraySink();
      const stderr = new FailingSink(error);
      assertEquals(await run(["check", "--data", directory], { stdout, stderr }), 0);
      assertEquals(stdout.text, good.stdout.text);
    }
  });
});

Deno.test("An error whose JSON cannot be written to stdout keeps its exit code and goes to stderr", async () => {
  const stdout = new FailingSink(failures[0] as Error);
  const stderr = new ArraySink();
  assertEquals(await run(["config", "nothing", "--json"], { stdout, stderr }), 3);
  assertEquals(stderr.text, "countd: No verb nothing; see countd --help\n");
});

// /dev/full fails every write with ENOSPC, like a log file on a full disk.
Deno.test("A daemon whose log file is on a full disk stays up and stops cleanly", async () => {
  if (Deno.build.os !== "linux") return;
  for (const format of ["logfmt", "json"]) {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      const args = ["write", "--data", data, "--port", "0", "--log-format", format];
      await using daemon = startProgram(redirected(args, "2>/dev/full"));
      await waitUntil("the report of the daemon, or its end", () => {
        return daemon.over || hasReport(data, daemon.pid);
      });
      assertEquals(await daemon.stop(), 0);
      checkData(data);
    });
  }
});

Deno.test("Data that cannot be written to stdout is reported, and a full disk exits with 75", async () => {
  const full = "countd: Cannot write stdout: No space left on device (ENOSPC): the disk is full; " +
    "free some space and try again";
  for (const [index, code, message] of [[0, 75, full], [2, 0, ""]] as const) {
    const stderr = new ArraySink();
    const stdout = new FailingSink(failures[index] as Error);
    assertEquals(await run(["--version"], { stdout, stderr }), code);
    assertEquals(stderr.text.trimEnd(), message);
  }
  if (Deno.build.os !== "linux") return;
  const { code, stderr } = await runProgram(redirected(["config"], ">/dev/full"));
  assertEquals([code, stderr], [75, full]);
});

// Story: a directory in place of stdin was reported as a bug in countd, with a stack.
Deno.test("The error about an input that cannot be read names the input", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = ["--data", `${directory}/data`];
    for (
      const args of [["kv", "set", "k", "-", ...data], ["shell", ...data]]
    ) {
      const { code, text, stderr } = await runProgram(redirected(args, `<${directory}`));
      const message = "countd: Cannot read stdin: Is a directory (EISDIR)";
      assertEquals([code, text, stderr], [1, "", message]);
    }
    await using daemon = startCountd(["write", ...data, "--port", "0"]);
    const { host, port } = await daemon.listening();
    for (const [file, name] of [[[directory], directory], [[], "stdin"]] as const) {
      const args = ["load", ...file, "--connect", `${host}:${port}`];
      const { code, text, stderr } = await runProgram(redirected(args, `<${directory}`));
      const message = `countd: Cannot read ${name}: Is a directory (EISDIR)`;
      assertEquals([code, text, stderr], [1, "", message]);
    }
    assertEquals(await daemon.stop(), 0);
    checkData(`${directory}/data`);
  });
});

Deno.test("A command that cannot report what is missing still exits with 3", async () => {
  if (Deno.build.os !== "linux") return;
  await withTemporaryDirectory(async (directory) => {
    const args = ["get", "nope", "x", "--data", `${directory}/none`];
    const { code, text } = await runProgram(redirected(args, "2>/dev/full"));
    assertEquals([code, text], [3, ""]);
  });
});

function hasReport(data: string, pid: number): boolean {
  try {
    return Deno.statSync(`${data}/run/write-${pid}`).size > 0;
  } catch {
    return false;
  }
}

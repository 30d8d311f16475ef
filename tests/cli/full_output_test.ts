/** Streams that take nothing: a full disk behind stderr or stdout, or a reader that is gone. */
import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { Sink } from "../../src/cli/output.ts";
import { runCommandLine } from "../../src/cli/run.ts";
import { checkData } from "../support/check_data.ts";
import { countdCommand, runProgram, startCountd, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { ArraySink } from "./capture.ts";

/** What the system says of a file on a full disk, and of a terminal that hung up. */
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

/** A command line of `countd` with its streams where a shell puts them. */
function redirected(args: readonly string[], redirection: string): string[] {
  return ["sh", "-c", `exec "$@" ${redirection}`, "sh", ...countdCommand(args)];
}

// The message went to a disk that was full, the failure to write it came out of the report of the first
// failure, and the process ended with 1: who looked at the code saw another mistake.
Deno.test("A message that stderr does not take changes no exit code", async () => {
  for (const error of failures) {
    for (const [words, code] of [[["config", "nothing"], 3], [["nothing"], 2]] as const) {
      const stdout = new ArraySink();
      assertEquals(await run(words, { stdout, stderr: new FailingSink(error) }), code);
      assertEquals(stdout.text, "");
    }
  }
});

// The remark about a damaged file or a refused line is written before the end of the command.
Deno.test("A remark that stderr does not take leaves the data on stdout whole", async () => {
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

Deno.test("A stdout that takes no JSON of an error keeps its exit code, and stderr tells it", async () => {
  const stdout = new FailingSink(failures[0] as Error);
  const stderr = new ArraySink();
  assertEquals(await run(["config", "nothing", "--json"], { stdout, stderr }), 3);
  assertEquals(stderr.text, "countd: No verb nothing; see countd --help\n");
});

// /dev/full gives ENOSPC to every write, as the disk does where the log file of a daemon lies.
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

Deno.test("Data that stdout does not take is told as such, and a full disk exits with 75", async () => {
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

// A directory in the place of stdin was "a bug in countd", with a stack.
Deno.test("An input that cannot be read is told by its name", async () => {
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

Deno.test("A command that cannot tell what is missing exits with 3 all the same", async () => {
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

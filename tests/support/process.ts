/**
 * Runs `countd` as real processes: from the sources, or the compiled binary that
 * `COUNTD_TEST_BINARY` names. Whatever a test starts here ends with the test.
 *
 *     await using writer = await startCountd(["write", "--data", data, "--port", "0"]);
 *     const { port } = await writer.listening();
 *     …
 *     assertEquals(await writer.stop(), 0);
 */

import { V8_FLAGS } from "../../src/cli/self_arguments.ts";
import { ordinaryCommand, type RunAs } from "./ordinary_user.ts";
import { DEADLINE_MS, within } from "./wait.ts";

export interface RunOptions {
  /** Added to the environment of the tests, without its `COUNTD_*` and `NO_COLOR`. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** "ordinary" runs as user 65534 when the tests run as root; "self" (default) as the tests do. */
  readonly as?: RunAs;
  /** An executable to run instead of the sources. Default: what `COUNTD_TEST_BINARY` names. */
  readonly binary?: string;
}

export interface Ended {
  /** Exit code; 128 + signal number when a signal ended the process, as shells say it. */
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: Uint8Array;
  readonly stderr: string;
  /** `stdout` as text. */
  readonly text: string;
}

const projectRoot = decodeURIComponent(new URL("../..", import.meta.url).pathname);

/** The command line that runs countd: program first. */
export function countdCommand(args: readonly string[], options: RunOptions = {}): string[] {
  const binary = options.binary ?? Deno.env.get("COUNTD_TEST_BINARY");
  const command = binary ? [binary, ...args] : [
    Deno.execPath(),
    "run",
    "--quiet",
    "-A",
    "--no-check",
    // The npm packages came with the tests themselves: nothing is fetched while a test waits.
    "--cached-only",
    V8_FLAGS,
    `${projectRoot}main.ts`,
    ...args,
  ];
  return options.as === "ordinary" ? ordinaryCommand(command, projectRoot) : command;
}

function environment(added: Record<string, string> = {}): Record<string, string> {
  const env: Record<string, string> = { DENO_NO_UPDATE_CHECK: "1" };
  for (const [name, value] of Object.entries(Deno.env.toObject())) {
    if (!name.startsWith("COUNTD_") && name !== "NO_COLOR") env[name] = value;
  }
  return { ...env, ...added };
}

/** Collects the output of a pipe, and gives its lines as they come. */
class Output {
  readonly lines: string[] = [];
  readonly finished: Promise<void>;
  #chunks: Uint8Array[] = [];
  #partial = "";
  #ended = false;
  #wake: (() => void)[] = [];
  #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(readonly name: string, stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
    this.finished = this.#collect();
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    while (true) {
      const { value, done } = await this.#reader.read();
      if (value) this.#chunks.push(value);
      const text = value ? decoder.decode(value, { stream: true }) : decoder.decode();
      this.#partial += text;
      // A line of many MiB is looked through once, not again for each chunk.
      if (text.includes("\n")) {
        const parts = this.#partial.split("\n");
        this.#partial = parts.pop() ?? "";
        this.lines.push(...parts);
      }
      if (done && this.#partial !== "") this.lines.push(this.#partial);
      this.#ended = done;
      for (const wake of this.#wake.splice(0)) wake();
      if (done) return;
    }
  }

  /** The first line from index `from` on that matches; throws if the pipe ends without one. */
  async line(pattern: RegExp, from: number): Promise<RegExpExecArray> {
    for (let index = from;; index++) {
      while (index >= this.lines.length) {
        if (this.#ended) throw new Error(`${this.name} ended without a line like ${pattern}`);
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
      const match = pattern.exec(this.lines[index] as string);
      if (match) return match;
    }
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let offset = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    return bytes;
  }

  /** Stops reading the pipe, because a grandchild may still hold the other end. */
  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

/** A running countd. It is killed (SIGKILL) with its scope if it has not ended before. */
export class CountdProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stdout: Output;
  readonly #stderr: Output;
  #stdinClosed = false;
  #over = false;

  constructor(child: Deno.ChildProcess, readonly commandLine: string) {
    this.#child = child;
    this.#stdin = child.stdin.getWriter();
    this.#stdout = new Output("stdout", child.stdout);
    this.#stderr = new Output("stderr", child.stderr);
    child.status.then(() => this.#over = true);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** True once the process has ended. */
  get over(): boolean {
    return this.#over;
  }

  /** Lines of stderr, and of stdout, until now. They grow while the process runs. */
  get stderrLines(): readonly string[] {
    return this.#stderr.lines;
  }

  get stdoutLines(): readonly string[] {
    return this.#stdout.lines;
  }

  /** Waits for a line of stderr that fits, counting from line index `from`. */
  async stderrLine(
    pattern: RegExp,
    options: { from?: number; deadlineMs?: number } = {},
  ): Promise<RegExpExecArray> {
    return await this.#line(this.#stderr, pattern, options);
  }

  /** Waits for a line of stdout that fits, counting from line index `from`. */
  async stdoutLine(
    pattern: RegExp,
    options: { from?: number; deadlineMs?: number } = {},
  ): Promise<RegExpExecArray> {
    return await this.#line(this.#stdout, pattern, options);
  }

  async #line(
    output: Output,
    pattern: RegExp,
    options: { from?: number; deadlineMs?: number },
  ): Promise<RegExpExecArray> {
    try {
      const what = `a line like ${pattern} on ${output.name}`;
      return await within(what, output.line(pattern, options.from ?? 0), options);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#report()}`, { cause: error });
    }
  }

  /**
   * Waits for `listening on HOST:PORT` on stderr, or, with a role of `serve` ("write", "read"),
   * for `write listening on HOST:PORT`.
   */
  async listening(role?: string): Promise<{ host: string; port: number }> {
    const before = role === undefined ? "" : `${role} `;
    const match = await this.stderrLine(
      new RegExp(`(?:^|[\\s"])${before}listening on (\\[[^\\]]+\\]|[^\\s:]+):(\\d+)`),
    );
    return { host: (match[1] as string).replace(/^\[|\]$/g, ""), port: Number(match[2]) };
  }

  async writeStdin(data: Uint8Array | string): Promise<void> {
    await this.#stdin.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  async closeStdin(): Promise<void> {
    if (this.#stdinClosed) return;
    this.#stdinClosed = true;
    // A process that ended without reading its input is not a failure of the test.
    await this.#stdin.close().catch(() => {});
  }

  signal(name: Deno.Signal): void {
    if (this.#over) return;
    try {
      this.#child.kill(name);
    } catch (error) {
      // The process ended by itself, but its status has not arrived yet.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** Sends `name` (SIGTERM) and returns the exit code. */
  async stop(name: Deno.Signal = "SIGTERM"): Promise<number> {
    this.signal(name);
    return (await this.ended()).code;
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await within(`the end of ${this.commandLine}`, this.#child.status);
  }

  /** Waits for the end of the process and of its output. Closes its stdin first. */
  async ended(options: { deadlineMs?: number } = {}): Promise<Ended> {
    try {
      const over = Promise.all([
        this.#child.status,
        this.#stdout.finished,
        this.#stderr.finished,
        this.closeStdin(),
      ]);
      const [status] = await within(`the end of ${this.commandLine}`, over, options);
      const stdout = this.#stdout.bytes();
      return {
        code: status.code,
        signal: status.signal,
        stdout,
        text: new TextDecoder().decode(stdout),
        stderr: this.#stderr.lines.join("\n"),
      };
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#report()}`, { cause: error });
    }
  }

  #report(): string {
    return `${this.commandLine}\nstdout: ${this.stdoutLines.slice(-20).join("\n")}\n` +
      `stderr: ${this.stderrLines.slice(-50).join("\n")}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.#child.status;
    await this.closeStdin();
    for (const output of [this.#stdout, this.#stderr]) {
      await within("the end of the output", output.finished, { deadlineMs: 5_000 })
        .catch(() => output.cancel());
    }
  }
}

/** Starts `countd` with these arguments. Everything is piped; nothing is awaited. */
export function startCountd(args: readonly string[], options: RunOptions = {}): CountdProcess {
  return startProgram(countdCommand(args, options), options);
}

/** Starts any program as `startCountd` does: `command` is the program and its arguments. */
export function startProgram(
  command: readonly string[],
  options: Pick<RunOptions, "cwd" | "env"> = {},
): CountdProcess {
  const [program, ...args] = command as [string, ...string[]];
  const child = new Deno.Command(program, {
    args,
    clearEnv: true,
    env: environment(options.env),
    ...options.cwd === undefined ? {} : { cwd: options.cwd },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new CountdProcess(child, command.join(" "));
}

/** Runs `countd` to its end with `stdin` (nothing when not given). */
export async function runCountd(
  args: readonly string[],
  options: RunOptions & { stdin?: Uint8Array | string; deadlineMs?: number } = {},
): Promise<Ended> {
  await using process = startCountd(args, options);
  return await feedAndEnd(process, options);
}

/** Runs any program to its end, as `runCountd` does. */
export async function runProgram(
  command: readonly string[],
  options: Pick<RunOptions, "cwd" | "env"> & {
    stdin?: Uint8Array | string;
    deadlineMs?: number;
  } = {},
): Promise<Ended> {
  await using process = startProgram(command, options);
  return await feedAndEnd(process, options);
}

async function feedAndEnd(
  process: CountdProcess,
  options: { stdin?: Uint8Array | string; deadlineMs?: number },
): Promise<Ended> {
  // A program may end without reading all of its input: the pipe then breaks, its result counts.
  if (options.stdin !== undefined) process.writeStdin(options.stdin).catch(() => {});
  return await process.ended({ deadlineMs: options.deadlineMs ?? DEADLINE_MS });
}

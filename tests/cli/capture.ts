/** Runs a command line inside the test process and captures its output. */
import { systemClock } from "../../src/base/clock.ts";
import type { ExitCode } from "../../src/cli/exit_codes.ts";
import type { Sink } from "../../src/cli/output.ts";
import { type Environment, runCommandLine } from "../../src/cli/run.ts";

export class ArraySink implements Sink {
  readonly chunks: Uint8Array[] = [];

  constructor(readonly terminal = false) {}

  writeSync(bytes: Uint8Array): number {
    this.chunks.push(bytes.slice());
    return bytes.length;
  }

  isTerminal(): boolean {
    return this.terminal;
  }

  get text(): string {
    return this.chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
  }
}

export interface Captured {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

/** `countd TEXTS…` with an environment and an input of its own. */
export async function capture(
  texts: readonly string[],
  variables: Readonly<Record<string, string>> = {},
  stdin = "",
): Promise<Captured> {
  const stdout = new ArraySink();
  const stderr = new ArraySink();
  const environment: Environment = {
    stdout,
    stderr,
    stderrDescriptor: null,
    stdin: { readable: new Blob([stdin]).stream(), isTerminal: () => false },
    variables: (name) => variables[name],
    clock: systemClock,
  };
  const code = await runCommandLine(texts, environment);
  return { code, stdout: stdout.text, stderr: stderr.text };
}

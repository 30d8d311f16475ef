/** Runs commands without a terminal: from `-c`, or from a pipe, a line at a time. */

import type { ShellOutput } from "./render.ts";
import { runLine } from "./run_line.ts";
import type { Session } from "./session.ts";

export interface ScriptOptions {
  readonly output: ShellOutput;
  readonly remarks: ShellOutput;
  /** Continues after an error. */
  readonly keepGoing: boolean;
  /** Reports an error after which the script continues (with `keepGoing`). */
  report(error: unknown): void;
}

/**
 * Runs the lines until the session is left. Throws the first error at once; with `keepGoing` every error
 * is reported and the first one is returned at the end (null if there was none).
 */
export async function runScript(
  session: Session,
  lines: Iterable<string> | AsyncIterable<string>,
  { output, remarks, keepGoing, report }: ScriptOptions,
): Promise<{ readonly firstError: unknown } | null> {
  let first: { readonly firstError: unknown } | null = null;
  const failed = (error: unknown) => {
    if (!keepGoing) throw error;
    output.flush();
    first ??= { firstError: error };
    report(error);
  };
  for await (const line of lines) {
    await runLine(session, line, { output, remarks, isInteractive: false, failed });
    if (session.isLeaving) break;
  }
  return first;
}

/** Yields the lines of a stream of UTF-8, without newlines; the last line needs none. */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8");
  let partial = "";
  for await (const chunk of stream) {
    const parts = (partial + decoder.decode(chunk, { stream: true })).split("\n");
    partial = parts.pop() ?? "";
    yield* parts;
  }
  partial += decoder.decode();
  if (partial !== "") yield partial;
}

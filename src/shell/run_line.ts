/** Runs one line of the shell: its commands one after the other, each with its answer. */

import { UsageError } from "../base/errors.ts";
import { printableName } from "../base/printable.ts";
import { checkWords, findCommand } from "./commands.ts";
import { render, type ShellOutput } from "./render.ts";
import type { Session } from "./session.ts";
import { commands } from "./shell_commands.ts";
import { parseLine, type Word } from "./words.ts";

export interface LineOptions {
  /** Gets the answers. */
  readonly output: ShellOutput;
  /** Gets remarks about answers: row counts and times. */
  readonly remarks: ShellOutput;
  /** True at a terminal: prints `ok` and the number of rows. */
  readonly isInteractive: boolean;
  /** Called with the error of a command; the line ends if it throws. */
  failed(error: unknown): void;
}

/** Runs a line, until a command leaves the session. Throws what `failed` throws. */
export async function runLine(session: Session, line: string, options: LineOptions): Promise<void> {
  let parsed: Word[][];
  try {
    parsed = parseLine(line);
  } catch (error) {
    return options.failed(error);
  }
  for (const words of parsed) {
    if (session.isLeaving) return;
    session.begin();
    try {
      await runCommand(session, words, options);
    } catch (error) {
      options.failed(error);
    }
  }
}

async function runCommand(
  session: Session,
  words: readonly Word[],
  { output, remarks, isInteractive }: LineOptions,
): Promise<void> {
  const [first, ...rest] = words as [Word, ...Word[]];
  const name = printableName(first.bytes);
  const command = findCommand(commands, name);
  if (command === null) throw new UsageError(`Unknown command "${name}"; see .help`);
  checkWords(command, rest);
  const startMs = session.clock.nowMs();
  const answer = await command.run(session, rest.map(({ bytes }) => bytes));
  const rows = await render(answer, session.mode, output);
  const tookMs = session.clock.nowMs() - startMs;
  if (isInteractive && rows === null && answer.kind === "done" && !session.isLeaving) {
    output.write("ok\n");
  }
  output.flush();
  const remark = [
    ...isInteractive && answer.kind === "rows" ? [rows === 1 ? "1 row" : `${rows} rows`] : [],
    ...session.timing ? [`${tookMs.toFixed(1)} ms`] : [],
  ].join(", ");
  if (remark === "") return;
  remarks.write(remarks.hasColor ? `\x1b[90m(${remark})\x1b[0m\n` : `(${remark})\n`);
  remarks.flush();
}

/** The shell at a terminal: a prompt, a line, its answers, and again. */

import { printableName } from "../base/printable.ts";
import { completeLine } from "./completion.ts";
import type { History } from "./history.ts";
import { LineEditor } from "./line_editor.ts";
import type { ShellOutput } from "./render.ts";
import { runLine } from "./run_line.ts";
import type { Session } from "./session.ts";

export interface InteractiveOptions {
  readonly output: ShellOutput;
  readonly remarks: ShellOutput;
  readonly history: History;
  /** Tells an error; the shell goes on. */
  report(error: unknown): void;
  /** Ends the shell as Ctrl-D does. */
  readonly signal: AbortSignal;
}

/** Runs until the session is left. The terminal is as it was before when this ends, also by an error. */
export async function runInteractive(session: Session, options: InteractiveOptions): Promise<void> {
  const { output, remarks, history, report, signal } = options;
  await history.load();
  using editor = new LineEditor({
    history: history.lines,
    complete: (line) => completeLine(session, line),
    interrupted: () => session.interrupt(),
  });
  const leave = () => {
    session.isLeaving = true;
    session.interrupt();
    editor.close();
  };
  signal.addEventListener("abort", leave);
  try {
    if (signal.aborted) leave();
    while (!session.isLeaving) {
      const line = await editor.readLine(promptOf(session));
      if (line === null) {
        output.write("\n");
        break;
      }
      await history.add(line);
      await runLine(session, line, { output, remarks, isInteractive: true, failed: report });
    }
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** `countd> `, or `countd:TABLE> ` in a table. */
function promptOf({ tableName }: Session): string {
  const table = tableName === "" ? "" : `:${printableName(new TextEncoder().encode(tableName))}`;
  return `countd${table}> `;
}

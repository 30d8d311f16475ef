/** The shell at a terminal: reads a line at the prompt, runs it, and repeats. */

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
  /** Reports an error; the shell continues. */
  report(error: unknown): void;
  /** Ends the shell as Ctrl-D does. */
  readonly signal: AbortSignal;
}

/** Runs until the session is left. Restores the terminal at the end, also after an error. */
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

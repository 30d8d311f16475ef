/** Writes answers: an aligned table, bare values, or JSON. */

import stringWidth from "string-width";
import { nameField, nameForOutput, printableName, toJson } from "../base/printable.ts";
import type { Answer, Cell } from "./answer.ts";

export const MODES = ["table", "json", "raw"] as const;
export type Mode = (typeof MODES)[number];

/** The destination of an answer, such as the `Output` of the command line. */
export interface ShellOutput {
  readonly isTerminal: boolean;
  readonly hasColor: boolean;
  write(content: string | Uint8Array): void;
  flush(): void;
}

/** Rows that decide the widths of the columns; cells of later rows may be wider. */
const WIDTH_ROWS = 500;

const utf8 = new TextEncoder();

/** Writes an answer and returns the number of its rows (null if it is not made of rows). */
export async function render(
  answer: Answer,
  mode: Mode,
  output: ShellOutput,
): Promise<number | null> {
  switch (answer.kind) {
    case "done":
      return null;
    case "text":
      output.write(answer.text);
      return null;
    case "value":
      if (mode === "json") {
        const fields = { ...answer.fields, [answer.name]: answer.value };
        output.write(toJson(jsonObject(fields)) + "\n");
      } else writeLine(output, [answer.value]);
      return 1;
    case "rows":
      if (mode === "json") return await renderJson(answer, output);
      return await (mode === "raw" ? renderRaw : renderTable)(answer, output);
  }
}

type Rows = Extract<Answer, { kind: "rows" }>;

async function renderRaw({ rows }: Rows, output: ShellOutput): Promise<number> {
  let count = 0;
  for await (const row of rows) {
    writeLine(output, row);
    count++;
  }
  return count;
}

async function renderJson(answer: Rows, output: ShellOutput): Promise<number> {
  const { listName, columns, rows, fields } = answer;
  const head = toJson(jsonObject(fields)).slice(0, -1);
  // Written only when the last row has come, so that an error leaves no partial object.
  const items: string[] = [];
  for await (const row of rows) {
    const cells = columns.map((name, index) => [name, row[index] as Cell] as const);
    // Names come before numbers, as in the verbs of the command line.
    const isNumber = ([, cell]: readonly [string, Cell]) => Number(!(cell instanceof Uint8Array));
    const object = jsonObject(
      Object.fromEntries(cells.toSorted((one, other) => isNumber(one) - isNumber(other))),
    );
    // A list of one column is a list of names, except for a name that is not text.
    const first = columns[0] as string;
    const item = columns.length === 1 && first in object ? object[first] : object;
    items.push(toJson(item));
  }
  output.write(`${head}${head === "{" ? "" : ","}${toJson(listName)}:[`);
  for (const [index, item] of items.entries()) output.write((index > 0 ? "," : "") + item);
  output.write("]}\n");
  return items.length;
}

async function renderTable({ columns, rows }: Rows, output: ShellOutput): Promise<number> {
  let held: (readonly Cell[])[] | null = [];
  let widths: number[] = [];
  let count = 0;
  const line = (row: readonly Cell[]) => output.write(tableLine(row, widths));
  const begin = () => {
    if (held === null || held.length === 0) return;
    widths = columns.map((name, index) =>
      Math.max(
        stringWidth(name),
        ...(held ?? []).map((row) => stringWidth(cellText(row[index] as Cell))),
      )
    );
    if (columns.length > 1) {
      const head = tableLine(columns.map((name) => utf8.encode(name)), widths);
      output.write(output.hasColor ? `\x1b[1m${head.trimEnd()}\x1b[0m\n` : head);
    }
    for (const row of held) line(row);
    held = null;
  };
  for await (const row of rows) {
    count++;
    if (held === null) line(row);
    else if (held.push(row) === WIDTH_ROWS) begin();
  }
  begin();
  return count;
}

/** Aligns numbers to the right and names to the left. The line has no trailing blanks. */
function tableLine(row: readonly Cell[], widths: readonly number[]): string {
  const cells = row.map((cell, index) => {
    const shown = cellText(cell);
    const fill = " ".repeat(Math.max(0, (widths[index] ?? 0) - stringWidth(shown)));
    return cell instanceof Uint8Array ? shown + fill : fill + shown;
  });
  return cells.join("  ").trimEnd() + "\n";
}

/** Writes bare cells separated by tabs: byte for byte to a pipe, escaped on a terminal. */
function writeLine(output: ShellOutput, row: readonly Cell[]): void {
  for (const [index, cell] of row.entries()) {
    if (index > 0) output.write("\t");
    if (cell instanceof Uint8Array) output.write(nameForOutput(cell, output.isTerminal));
    else output.write(String(cell));
  }
  output.write("\n");
}

/** Makes a JSON object: numbers as decimal strings; bytes that are not text under a name of their own. */
function jsonObject(fields: Readonly<Record<string, Cell>>): Record<string, string> {
  const parts = Object.entries(fields).map(([name, cell]) =>
    cell instanceof Uint8Array ? nameField(name, cell) : { [name]: String(cell) }
  );
  return Object.assign({}, ...parts);
}

function cellText(cell: Cell): string {
  return cell instanceof Uint8Array ? printableName(cell) : String(cell);
}

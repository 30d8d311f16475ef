/** The tables of OUTCOMES.md: read, compared and written. */

import { type Cell, columnsOf, eventsOf } from "./cells.ts";
import { kinds } from "./kinds.ts";
import { isFault, LEGEND } from "./outcome.ts";

const HEADING = "## The matrix";
const FILE = decodeURIComponent(new URL("OUTCOMES.md", import.meta.url).pathname);

const LEFT_OUT: readonly string[] = [
  "The event comes before the verb starts, or, under _running_, while it runs: to the log that it holds,",
  "and to its own report. One rule says which cells there are: a verb meets a kind of file if it opens",
  "such a file or lists its folder. `restore` meets the file in the backup, all other verbs the one in",
  "the data directory; for `backup.json` the data directory is the backup. A directory has no size.",
  "",
  "Errors of system calls (EMFILE, EIO) are made by strace and meet this file alone. ENOSPC, the read-only mount,",
  "the overlay and the other file system are mounted over the folder of the file. A verb runs as an",
  "ordinary user if owner or mode are the question.",
];

/** Words of each cell, by kind, event and column. A cell that depends on time has several. */
export class Table {
  readonly #words: Map<string, string>;
  /** What this run has found: it alone is written, because several runs may share the work. */
  readonly #found = new Map<string, string>();

  private constructor(words: Map<string, string>) {
    this.#words = words;
  }

  static read(): Table {
    const words = new Map<string, string>();
    const [, text = ""] = Deno.readTextFileSync(FILE).split(`\n${HEADING}\n`);
    for (const section of text.split(/^### /m).slice(1)) {
      const kind = section.slice(0, section.indexOf("\n"));
      const rows = section.split("\n").filter((line) => line.startsWith("|"))
        .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
      const [head = [], , ...body] = rows;
      for (const [event = "", ...cells] of body) {
        for (const [at, word] of cells.entries()) {
          words.set(keyOf(kind, event, head[at + 1] ?? ""), word);
        }
      }
    }
    return new Table(words);
  }

  /** What is written of a cell; several words if it has several outcomes. */
  wordsOf(cell: Cell): string[] {
    const words = this.#words.get(keyOfCell(cell)) ?? "";
    return words === "" ? [] : words.split(" or ");
  }

  set(cell: Cell, words: readonly string[]): void {
    this.#found.set(keyOfCell(cell), [...new Set(words)].sort().join(" or "));
  }

  /** Cells with a fault. */
  get faults(): number {
    return [...this.#words.values()].filter((words) => words.split(" or ").some(isFault)).length;
  }

  write(): void {
    for (const [key, words] of Table.read().#words) this.#words.set(key, words);
    for (const [key, words] of this.#found) this.#words.set(key, words);
    const [before = ""] = Deno.readTextFileSync(FILE).split(`\n${HEADING}\n`);
    Deno.writeTextFileSync(FILE, `${before}\n${HEADING}\n\n${this.#text()}`);
    new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", FILE] }).outputSync();
  }

  #text(): string {
    const parts = [
      ...LEFT_OUT,
      "",
      `Written by \`deno task matrix --update\`. ${this.#words.size} cells, ` +
      `${this.faults} of them with a fault.`,
      "",
      ...markdownTable(["word", "meaning"], LEGEND.map(([word, meaning]) => [word, meaning])),
    ];
    for (const kind of kinds) {
      const columns = columnsOf(kind).map(({ name }) => name);
      const rows = eventsOf(kind).map(({ name }) => [
        name,
        ...columns.map((column) => this.#words.get(keyOf(kind.name, name, column)) ?? ""),
      ]);
      parts.push("", `### ${kind.name}`, "", ...markdownTable(["", ...columns], rows));
    }
    return `${parts.join("\n")}\n`;
  }
}

function keyOf(kind: string, event: string, column: string): string {
  return `${kind}|${event}|${column}`;
}

function keyOfCell({ kind, event, verb, isRunning }: Cell): string {
  return keyOf(kind.name, event.name, `${verb.name}${isRunning ? ", running" : ""}`);
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
}

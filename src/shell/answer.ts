/** The answer of a command, independent of how it is shown. */

/** A name or value as bytes, or a number. */
export type Cell = Uint8Array | bigint | number;

export type Answer =
  /** Done; nothing to show. */
  | { readonly kind: "done" }
  /** One value or number. `fields` are the other fields of its JSON object. */
  | {
    readonly kind: "value";
    readonly name: string;
    readonly value: Cell;
    readonly fields: Readonly<Record<string, Cell>>;
  }
  /** Rows of equal length, one at a time. In JSON they are a list named `listName`. */
  | {
    readonly kind: "rows";
    readonly listName: string;
    readonly columns: readonly string[];
    readonly rows: Iterable<readonly Cell[]> | AsyncIterable<readonly Cell[]>;
    readonly fields: Readonly<Record<string, Cell>>;
  }
  /** Text to read, such as help. */
  | { readonly kind: "text"; readonly text: string };

export const done: Answer = { kind: "done" };

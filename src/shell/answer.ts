/** What a command answers, before anybody has decided how it looks. */

/** A name or value as bytes, or a number. */
export type Cell = Uint8Array | bigint | number;

export type Answer =
  /** Done; nothing to show. */
  | { readonly kind: "done" }
  /** One value or number. `fields` are what else stands in its JSON object. */
  | {
    readonly kind: "value";
    readonly name: string;
    readonly value: Cell;
    readonly fields: Readonly<Record<string, Cell>>;
  }
  /** Rows of equal length, one at a time. In JSON they stand as a list named `listName`. */
  | {
    readonly kind: "rows";
    readonly listName: string;
    readonly columns: readonly string[];
    readonly rows: Iterable<readonly Cell[]> | AsyncIterable<readonly Cell[]>;
    readonly fields: Readonly<Record<string, Cell>>;
  }
  /** Text for a reader, such as help. */
  | { readonly kind: "text"; readonly text: string };

export const done: Answer = { kind: "done" };

/** Compares the `### Fields:` tables of the format READMEs with the layout constants of the code. */

export type Layout = Readonly<Record<string, { readonly offset: number; readonly size: number }>>;

export interface FieldTable {
  readonly name: string;
  readonly rows: readonly (readonly [field: string, offset: string, size: string])[];
}

/** `### Fields: <name>` and the rows `| field | offset | size | why |` below it. */
export function fieldTables(markdown: string): FieldTable[] {
  const tables: { name: string; rows: [string, string, string][] }[] = [];
  let open = false;
  for (const line of markdown.split("\n")) {
    const name = /^### Fields: (.+)$/.exec(line)?.[1];
    if (name !== undefined) tables.push({ name: name.trim(), rows: [] });
    if (line.startsWith("#")) open = name !== undefined;
    const cells = line.split("|").map((cell) => cell.trim());
    if (!open || cells.length < 5 || !/^\d+$/.test(cells[2] ?? "")) continue;
    tables.at(-1)?.rows.push([
      (cells[1] ?? "").replaceAll("`", ""),
      cells[2] as string,
      cells[3] as string,
    ]);
  }
  return tables;
}

/** The name of the constant for a table: "map header" → `mapHeaderLayout`. */
export function layoutName(table: string): string {
  const words = table.split(/[\s-]+/);
  return words.map((word, index) =>
    index === 0
      ? word.charAt(0).toLowerCase() + word.slice(1)
      : word.charAt(0).toUpperCase() + word.slice(1)
  ).join("") + "Layout";
}

/**
 * Each field with its offset and size, in the order of the layout. A size that depends on the content
 * is 0 in the layout and "–" (or 0) in the table. Fields follow each other without a gap.
 */
export function fieldProblems(where: string, table: FieldTable, layout: Layout): string[] {
  const problems: string[] = [];
  const expected = Object.entries(layout)
    .map(([field, { offset, size }]) => `${field} ${offset} ${size === 0 ? "–" : size}`);
  const found = table.rows.map((row) => row.join(" ").replace(/ 0$/, " –"));
  for (let index = 0; index < Math.max(expected.length, found.length); index++) {
    if (expected[index] === found[index]) continue;
    problems.push(
      `${where}, Fields: ${table.name}: the code has "${expected[index] ?? "nothing"}", ` +
        `the table "${found[index] ?? "nothing"}"`,
    );
  }
  let end: number | undefined;
  for (const [field, { offset, size }] of Object.entries(layout)) {
    if (end !== undefined && offset !== end) {
      problems.push(`${where}, ${field} is at ${offset}, the field before it ends at ${end}`);
    }
    end = offset + size;
  }
  return problems;
}

/** The sample access log (tests/data), a column at a time. */

import { gunzipSync } from "node:zlib";

const path = new URL("../data/apache-access.log.gz", import.meta.url);

/** Which blank-separated field of a line is what, as awk counts them from 1. */
export const sampleColumns = { clients: 1, paths: 7, statuses: 9 } as const;

export type SampleColumn = keyof typeof sampleColumns;

/** The whole log as text. */
export function sampleLog(): string {
  return new TextDecoder().decode(gunzipSync(Deno.readFileSync(path)));
}

/** One column as lines for `countd load`: `keyspace TAB key`, the column's name as the keyspace. */
export function sampleLines(column: SampleColumn): string {
  const field = sampleColumns[column] - 1;
  const lines = sampleLog().split("\n").filter((line) => line !== "");
  return lines.map((line) => `${column}\t${line.split(/[ \t]+/)[field]}\n`).join("");
}

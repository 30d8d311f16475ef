import { NotFoundError } from "../../base/errors.ts";
import { nameField, printableName } from "../../base/printable.ts";
import { openSource, pageSourceOptions, SOURCE_DETAILS } from "../counter_source.ts";
import { nameArgument } from "../kit/argument.ts";
import { whole } from "../kit/option.ts";
import { defineVerb, examplesOf } from "../verb.ts";

/** Rows in one request; more would only take more memory. */
const PAGE_ROWS = 65_536;

export const top = defineVerb({
  name: "top",
  summary: "show the largest counters of a keyspace",
  details: [
    "Prints a line `value TAB key` for each counter, the largest first; equal values are in byte " +
    "order of their keys. " + SOURCE_DETAILS,
  ],
  positionals: { keyspace: nameArgument("the keyspace") },
  options: {
    ...pageSourceOptions,
    offset: whole({ summary: "the rank of the first row, from 0", default: 0, min: 0 }),
    length: whole({ summary: "the number of rows", default: 10, min: 0 }),
  },
  answersJson: true,
  examples: examplesOf({
    "countd top pages": "print the ten largest counters of pages",
    "countd top pages --offset 100 --length 20 --connect localhost":
      "print rows 100 to 119, from the server on this machine",
  }),
  async run(context) {
    const { options, positionals: { keyspace }, stdout } = context;
    using source = await openSource(context);
    const rows: Record<string, string>[] = [];
    let { offset } = options;
    let left = options.length;
    let total: number;
    do {
      const page = await source.page(keyspace, { offset, length: Math.min(left, PAGE_ROWS) });
      total = page.total;
      if (total === 0) throw new NotFoundError(`No keyspace ${printableName(keyspace)}`);
      for (const { key, value } of page.rows) {
        if (context.json) rows.push({ ...nameField("key", key), value: String(value) });
        else stdout.row(String(value), key);
      }
      offset += page.rows.length;
      left = page.rows.length === 0 ? 0 : left - page.rows.length;
    } while (left > 0);
    if (context.json) {
      stdout.json({
        ...nameField("keyspace", keyspace),
        total: String(total),
        offset: String(options.offset),
        rows,
      });
    }
  },
});

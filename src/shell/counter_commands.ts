/** The commands on counters. */

import { INT64_MAX, INT64_MIN } from "../base/int64.ts";
import { NotFoundError, UsageError } from "../base/errors.ts";
import { printableName } from "../base/printable.ts";
import { type Answer, done } from "./answer.ts";
import type { Command, Parameter } from "./commands.ts";
import type { Session } from "./session.ts";

const TOP_LENGTH = 10;
/** Rows in one request. */
const PAGE_ROWS = 1000;

const keyspace: Parameter = { name: "KEYSPACE", kind: "keyspace" };
const counter: Parameter = { name: "KEY", kind: "counter" };

const text = new TextDecoder();
/** Replaces the number of counters in a damaged keyspace. */
const DAMAGED = new TextEncoder().encode("damaged");

function wholeNumber(word: Uint8Array, name: string): bigint {
  const shown = text.decode(word);
  if (!/^[-+]?\d{1,40}$/.test(shown)) {
    throw new UsageError(`${name} must be a whole number, not "${printableName(word)}"`);
  }
  return BigInt(shown.replace(/^\+/, ""));
}

/** Parses a number of rows: 0 … 2^53 − 1. */
function rowNumber(word: Uint8Array | undefined, name: string, missing: number): number {
  if (word === undefined) return missing;
  const number = Number(wholeNumber(word, name));
  if (number < 0 || !Number.isSafeInteger(number)) {
    throw new UsageError(`${name} must be between 0 and 2^53 - 1, not ${text.decode(word)}`);
  }
  return number;
}

async function findCounter(
  session: Session,
  [space, key]: readonly unknown[],
  name: "rank" | "value",
): Promise<Answer> {
  const fields = { keyspace: space as Uint8Array, key: key as Uint8Array };
  const found = await session.read((reader) => reader.key(fields.keyspace, fields.key));
  if (found !== null) return { kind: "value", name, value: found[name], fields };
  throw new NotFoundError(
    `No counter "${printableName(fields.key)}" in keyspace "${printableName(fields.keyspace)}"`,
  );
}

/** Yields the rows of `top`, a page at a time; each page is consistent in itself. */
async function* topRows(
  session: Session,
  space: Uint8Array,
  { offset, length }: { offset: number; length: number },
) {
  for (let at = offset; at < offset + length;) {
    await session.yieldToEventLoop();
    const wanted = Math.min(PAGE_ROWS, offset + length - at);
    const range = { offset: at, length: wanted };
    const { rows } = await session.read((reader) => reader.page(space, range));
    for (const { key, value } of rows) yield [value, key];
    if (rows.length === 0) return;
    at += rows.length;
  }
}

async function* keyspaceRows(session: Session) {
  let after: Uint8Array = new Uint8Array(0);
  while (true) {
    await session.yieldToEventLoop();
    const some = await session.read((reader) => reader.keyspaces(after));
    for (const { name, counters } of some) yield [name, counters ?? DAMAGED];
    const last = some.at(-1);
    if (last === undefined) return;
    after = last.name;
  }
}

export const counterCommands: readonly Command[] = [
  {
    name: "incr",
    parameters: [keyspace, counter, { name: "N", kind: "count", isOptional: true }],
    summary: "add N (1) to a counter",
    async run(session, [space, key, number]) {
      const increment = number === undefined ? 1n : wholeNumber(number, "N");
      if (increment < INT64_MIN || increment > INT64_MAX) {
        throw new UsageError(`N must be between ${INT64_MIN} and ${INT64_MAX}, not ${increment}`);
      }
      await session.write((writer) =>
        writer.increment(space as Uint8Array, key as Uint8Array, increment)
      );
      return done;
    },
  },
  {
    name: "top",
    parameters: [
      keyspace,
      { name: "LENGTH", kind: "count", isOptional: true },
      { name: "OFFSET", kind: "count", isOptional: true },
    ],
    summary: "list the greatest counters, LENGTH (10) from rank OFFSET (0) on",
    async run(session, [word, lengthWord, offsetWord]): Promise<Answer> {
      const space = word as Uint8Array;
      const length = rowNumber(lengthWord, "LENGTH", TOP_LENGTH);
      const offset = rowNumber(offsetWord, "OFFSET", 0);
      const head = await session.read((reader) => reader.page(space, { offset: 0, length: 0 }));
      if (head.total === 0) throw new NotFoundError(`No keyspace "${printableName(space)}"`);
      return {
        kind: "rows",
        listName: "rows",
        columns: ["value", "key"],
        rows: topRows(session, space, { offset, length }),
        fields: { keyspace: space, total: head.total, offset },
      };
    },
  },
  {
    name: "rank",
    parameters: [keyspace, counter],
    summary: "show the rank of a counter; the greatest has rank 0",
    run: (session, names) => findCounter(session, names, "rank"),
  },
  {
    name: "count",
    parameters: [keyspace, counter],
    summary: "show the value of a counter",
    run: (session, names) => findCounter(session, names, "value"),
  },
  {
    name: "keyspaces",
    parameters: [],
    summary: "list the keyspaces and how many counters each has",
    run(session): Answer {
      const columns = ["keyspace", "counters"];
      const rows = keyspaceRows(session);
      return { kind: "rows", listName: "keyspaces", columns, rows, fields: {} };
    },
  },
];

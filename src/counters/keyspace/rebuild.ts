/**
 * A new keyspace file out of what a damaged one still holds: the same counters, the same marks. Written
 * in a directory of its own; the caller puts it in its place.
 */

import type { Storage } from "../../file/mod.ts";
import { Batch, type SalvagedTree, salvageTree } from "../tree/mod.ts";
import { KeyspaceWriter } from "./writer.ts";

export interface Rebuilt {
  readonly name: Uint8Array;
  /** Where the new file lies. */
  readonly path: string;
  readonly counters: number;
  /** Counters that the damaged file said it held. */
  readonly expected: number;
  readonly problems: readonly string[];
}

/** Counters that one transaction of the new file takes. */
const COUNTERS_A_TIME = 100_000;

/** Reads the damaged file at `path`. Throws `CorruptError` if its head or its marks are gone. */
export function rebuildKeyspace(storage: Storage, path: string, into: string): Rebuilt {
  using file = storage.open(path, { access: "read" });
  const salvaged = salvageTree(file);
  const { name, pageSize, counters, expected, problems } = salvaged;
  using writer = KeyspaceWriter.open(storage, into, name, { pageSize });
  const entries = [...counters];
  for (let from = 0; from === 0 || from < entries.length; from += COUNTERS_A_TIME) {
    const part = entries.slice(from, from + COUNTERS_A_TIME);
    // The marks come last: the file takes no other one's place before it is whole.
    const isLast = from + COUNTERS_A_TIME >= entries.length;
    commit(writer, part, isLast ? generationsOf(salvaged) : new Map());
  }
  storage.syncDirectory(into);
  return { name, path: writer.path, counters: counters.size, expected, problems };
}

function generationsOf({ generations }: SalvagedTree): Map<number, bigint> {
  const set = new Map<number, bigint>();
  generations.forEach((generation, slot) => {
    if (generation > 0n) set.set(slot, generation);
  });
  return set;
}

function commit(
  writer: KeyspaceWriter,
  entries: readonly (readonly [string, bigint])[],
  generations: Map<number, bigint>,
): void {
  writer.apply(Batch.of(increments(entries)), generations);
  writer.syncPages();
  writer.publish();
  writer.syncMeta();
}

function* increments(
  entries: readonly (readonly [string, bigint])[],
): Iterable<readonly [Uint8Array, bigint]> {
  for (const [text, count] of entries) {
    const key = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    // A sum of zero makes a counter, an increment of zero does not.
    if (count === 0n) yield [key, 1n];
    yield [key, count === 0n ? -1n : count];
  }
}

/**
 * Makes a new keyspace file out of what a damaged one still holds: the same counters and applied
 * generations. It is written into another directory; the caller moves it into place.
 */

import type { Storage } from "../../file/mod.ts";
import { Batch, type SalvagedTree, salvageTree } from "../tree/mod.ts";
import { KeyspaceWriter } from "./writer.ts";

export interface Rebuilt {
  readonly name: Uint8Array;
  /** The path of the new file. */
  readonly path: string;
  readonly counters: number;
  /** The number of counters by the meta block of the damaged file. */
  readonly expected: number;
  readonly problems: readonly string[];
}

/** Counters in one transaction of the new file. */
const COUNTERS_PER_TRANSACTION = 100_000;

/**
 * Rebuilds the damaged file at `path` in the directory `into`. Throws `CorruptError` if its meta blocks or
 * its applied generations are lost, and `NewerFormatError` and `OldFormatError`.
 */
export function rebuildKeyspace(storage: Storage, path: string, into: string): Rebuilt {
  using file = storage.open(path, { access: "read" });
  const salvaged = salvageTree(file);
  const { name, counters, expected, problems } = salvaged;
  using writer = KeyspaceWriter.open(storage, into, name);
  const entries = [...counters];
  for (let from = 0; from === 0 || from < entries.length; from += COUNTERS_PER_TRANSACTION) {
    const part = new Map(entries.slice(from, from + COUNTERS_PER_TRANSACTION));
    // The generations come last, so an unfinished file is never taken for a complete one.
    const isLast = from + COUNTERS_PER_TRANSACTION >= entries.length;
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
  counters: ReadonlyMap<string, bigint>,
  generations: Map<number, bigint>,
): void {
  writer.apply(Batch.ofSums(counters), generations);
  writer.syncPages();
  writer.publish();
  writer.syncMeta();
}

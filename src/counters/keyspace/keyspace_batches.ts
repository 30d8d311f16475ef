/** Makes the batches of a fold out of an aggregator's arena: one for each keyspace, with keys in order. */

import { assert } from "../../base/assert.ts";
import { Batch, ENTRY_KEY_WORD, ENTRY_LENGTH_MASK } from "../tree/mod.ts";
import { EntrySorter } from "./sort_entries.ts";

/** Where the number of the keyspace begins in an entry's first word, above the key length. */
export const KEYSPACE_SHIFT = 9;

/** Entries that are copied together. */
const GROUP_ENTRIES = 64;
/** Words of an entry with a key of 16 bytes, which may span two cache lines. */
const USUAL_ENTRY_WORDS = 7;

/** The sums of one keyspace. */
export interface KeyspaceBatch {
  readonly keyspace: Uint8Array;
  readonly batch: Batch;
}

/** Entries of all keyspaces, in the order of arrival of their keys. */
export interface Arena {
  readonly words: Int32Array;
  readonly wordsUsed: number;
  readonly count: number;
  /** As in `Batch`. */
  readonly wraps: ReadonlyMap<number, number>;
  /** How many there are: their numbers begin at 0. */
  readonly keyspaces: number;
}

/**
 * Sorts the entries by keyspace. Returns a function that makes the batch of one keyspace, once: it is a copy, so
 * after the last one the arena may be used again.
 */
export function batchesInKeyOrder(arena: Arena): (keyspace: number) => Batch {
  const { words, wordsUsed, keyspaces } = arena;
  const starts = new Uint32Array(keyspaces + 1);
  const lengths = new Uint32Array(keyspaces);
  for (let entry = 0; entry < wordsUsed;) {
    const next = nextEntry(entry, words[entry]!);
    const keyspace = words[entry]! >>> KEYSPACE_SHIFT;
    starts[keyspace + 1] = starts[keyspace + 1]! + 1;
    lengths[keyspace] = lengths[keyspace]! + next - entry;
    entry = next;
  }
  for (let index = 1; index < starts.length; index++) {
    starts[index] = starts[index]! + starts[index - 1]!;
  }
  const places = starts.slice();
  const entries = new Uint32Array(arena.count);
  for (let entry = 0; entry < wordsUsed; entry = nextEntry(entry, words[entry]!)) {
    const keyspace = words[entry]! >>> KEYSPACE_SHIFT;
    entries[places[keyspace]!] = entry;
    places[keyspace] = places[keyspace]! + 1;
  }
  return (keyspace) => {
    const own = entries.subarray(starts[keyspace]!, starts[keyspace + 1]!);
    EntrySorter.sort(words, own);
    return copyInOrder(arena, own, lengths[keyspace]!);
  };
}

/**
 * Copies the entries into a batch of `length` words, in the order of `entries`, which becomes part of the
 * batch. A fold reads them in that order at least three times. In the arena each read would be a cache
 * miss; here the misses come once, a group at a time, so that they overlap.
 */
function copyInOrder({ words, wordsUsed, wraps }: Arena, entries: Uint32Array, length: number) {
  const last = wordsUsed - 1;
  const ordered = new Int32Array(length);
  const orderedWraps = new Map<number, number>();
  let at = 0;
  let touched = 0;
  for (let from = 0; from < entries.length; from += GROUP_ENTRIES) {
    const to = Math.min(from + GROUP_ENTRIES, entries.length);
    for (let index = from; index < to; index++) {
      const entry = entries[index]!;
      touched |= words[entry]! | words[Math.min(entry + USUAL_ENTRY_WORDS - 1, last)]!;
    }
    for (let index = from; index < to; index++) {
      const entry = entries[index]!;
      const end = nextEntry(entry, words[entry]!);
      entries[index] = at;
      if (wraps.size > 0) {
        const wrap = wraps.get(entry);
        if (wrap !== undefined) orderedWraps.set(at, wrap);
      }
      for (let word = entry; word < end; word++) ordered[at++] = words[word]!;
    }
  }
  // The assertion uses `touched`, so that the prefetch reads are not optimised away.
  assert(at === length || touched === length, "The words of the entries were counted");
  return new Batch(ordered, entries, orderedWraps);
}

function nextEntry(entry: number, head: number): number {
  return entry + ENTRY_KEY_WORD + (((head & ENTRY_LENGTH_MASK) + 3) >> 2);
}

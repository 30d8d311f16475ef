/**
 * Sorts entries of an aggregator by key. Four key bytes at a time are fetched once, beside their entry,
 * and sorted by radix; only where they are equal the next four are looked at. So no comparison jumps
 * into the arena, and keys that begin alike cost one pass for what they have in common.
 */

import { ENTRY_KEY_WORD, ENTRY_LENGTH_MASK } from "../tree/mod.ts";

/** Below this many entries insertion by comparing is quicker. */
const RADIX_ENTRIES_MIN = 48;
const RADIX_BITS = 8;
const RADIX = 1 << RADIX_BITS;

export class EntrySorter {
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #entries: Uint32Array;
  readonly #otherEntries: Uint32Array;
  /** Four key bytes of each entry, as a big-endian number. */
  readonly #chunks: Uint32Array;
  readonly #otherChunks: Uint32Array;
  readonly #places = new Uint32Array(RADIX);

  private constructor(words: Int32Array, entries: Uint32Array) {
    this.#words = words;
    this.#view = new DataView(words.buffer, words.byteOffset, words.byteLength);
    this.#entries = entries;
    this.#otherEntries = new Uint32Array(entries.length);
    this.#chunks = new Uint32Array(entries.length);
    this.#otherChunks = new Uint32Array(entries.length);
  }

  /** Sorts in place. Keys must differ. */
  static sort(words: Int32Array, entries: Uint32Array): void {
    if (entries.length < 2) return;
    new EntrySorter(words, entries).#sort(0, entries.length, 0);
  }

  /** Sorts `[from, to)`, whose keys are equal in the first `depth` bytes. */
  #sort(from: number, to: number, depth: number): void {
    while (to - from >= RADIX_ENTRIES_MIN) {
      const isOne = this.#fetch(from, to, depth);
      depth += 4;
      if (isOne) continue;
      this.#sortChunks(from, to);
      // Sorting a group uses up its chunks, but only its own.
      let start = from;
      while (start < to) {
        const chunk = this.#chunks[start];
        let end = start + 1;
        while (end < to && this.#chunks[end] === chunk) end++;
        if (end - start > 1) this.#sort(start, end, depth);
        start = end;
      }
      return;
    }
    this.#insert(from, to, depth);
  }

  /** Fetches the four bytes at `depth`; true when they are the same in all keys. */
  #fetch(from: number, to: number, depth: number): boolean {
    let differ = 0;
    const first = this.#chunk(this.#entries[from]!, depth);
    for (let index = from; index < to; index++) {
      const chunk = this.#chunk(this.#entries[index]!, depth);
      this.#chunks[index] = chunk;
      differ |= chunk ^ first;
    }
    return differ === 0;
  }

  #chunk(entry: number, depth: number): number {
    const length = this.#words[entry]! & ENTRY_LENGTH_MASK;
    return depth < length ? this.#view.getUint32((entry + ENTRY_KEY_WORD) * 4 + depth) : 0;
  }

  /** Stable radix sort of `[from, to)` by chunk. */
  #sortChunks(from: number, to: number): void {
    const places = this.#places;
    for (let shift = 0; shift < 32; shift += RADIX_BITS) {
      const chunks = this.#chunks;
      const entries = this.#entries;
      places.fill(0);
      for (let index = from; index < to; index++) {
        const digit = (chunks[index]! >>> shift) & (RADIX - 1);
        places[digit] = places[digit]! + 1;
      }
      if (places[(chunks[from]! >>> shift) & (RADIX - 1)] === to - from) continue;
      let before = from;
      for (let digit = 0; digit < RADIX; digit++) {
        const count = places[digit]!;
        places[digit] = before;
        before += count;
      }
      const otherChunks = this.#otherChunks;
      const otherEntries = this.#otherEntries;
      for (let index = from; index < to; index++) {
        const chunk = chunks[index]!;
        const digit = (chunk >>> shift) & (RADIX - 1);
        const place = places[digit]!;
        places[digit] = place + 1;
        otherChunks[place] = chunk;
        otherEntries[place] = entries[index]!;
      }
      chunks.set(otherChunks.subarray(from, to), from);
      entries.set(otherEntries.subarray(from, to), from);
    }
  }

  #insert(from: number, to: number, depth: number): void {
    const entries = this.#entries;
    for (let index = from + 1; index < to; index++) {
      const entry = entries[index]!;
      let place = index;
      while (place > from && this.#isBefore(entry, entries[place - 1]!, depth)) {
        entries[place] = entries[place - 1]!;
        place--;
      }
      entries[place] = entry;
    }
  }

  #isBefore(left: number, right: number, depth: number): boolean {
    for (let at = depth;; at += 4) {
      const a = this.#chunk(left, at);
      const b = this.#chunk(right, at);
      if (a !== b) return a < b;
      // Equal keys do not occur; were they to, this ends.
      if (a === 0) return false;
    }
  }
}

/**
 * Sorts entries of an aggregator by key. Eight bytes of each key are copied beside their entry and sorted
 * by radix. Only if they are equal, the next eight are used. So comparing does not access the arena at
 * random, and a common prefix costs one pass.
 */

import { ENTRY_KEY_WORD, ENTRY_LENGTH_MASK } from "../tree/mod.ts";

/** Below this number of entries, insertion sort is faster than radix sort. */
const RADIX_ENTRIES_MIN = 48;
const RADIX_BITS = 8;
/** From this number of entries on, wider digits save a pass. */
const RADIX_BITS_WIDE = 11;
const RADIX_ENTRIES_WIDE = 1 << 14;
/** Key bytes that are fetched together: two words. */
const CHUNK_BYTES = 8;

/** Columns that are sorted together: entries, and eight key bytes of each as two big-endian numbers. */
interface Columns {
  readonly entries: Uint32Array;
  readonly firsts: Uint32Array;
  readonly seconds: Uint32Array;
}

function columnsFor(entries: Uint32Array): Columns {
  const { length } = entries;
  return { entries, firsts: new Uint32Array(length), seconds: new Uint32Array(length) };
}

export class EntrySorter {
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #columns: Columns;
  /** The target of a pass of the radix sort. */
  readonly #others: Columns;
  readonly #entries: Uint32Array;
  readonly #firsts: Uint32Array;
  readonly #seconds: Uint32Array;
  readonly #places = new Uint32Array(1 << RADIX_BITS_WIDE);

  private constructor(words: Int32Array, entries: Uint32Array) {
    this.#words = words;
    this.#view = new DataView(words.buffer, words.byteOffset, words.byteLength);
    this.#columns = columnsFor(entries);
    this.#others = columnsFor(new Uint32Array(entries.length));
    this.#entries = entries;
    this.#firsts = this.#columns.firsts;
    this.#seconds = this.#columns.seconds;
  }

  /** Sorts in place. Keys must differ. */
  static sort(words: Int32Array, entries: Uint32Array): void {
    if (entries.length < 2) return;
    new EntrySorter(words, entries).#sort(0, entries.length, 0);
  }

  /** Sorts `[from, to)`, whose keys are equal in the first `depth` bytes. */
  #sort(from: number, to: number, depth: number): void {
    while (this.#fetch(from, to, depth)) depth += CHUNK_BYTES;
    if (to - from < RADIX_ENTRIES_MIN) {
      this.#insert(from, to);
    } else {
      this.#radix("firsts", from, to);
      this.#forGroups(this.#firsts, from, to, (start, end) => {
        if (end - start < RADIX_ENTRIES_MIN) this.#insert(start, end);
        else this.#radix("seconds", start, end);
      });
    }
    // Groups that are equal in all eight bytes are sorted by the next eight. Sorting a group overwrites its
    // chunks.
    let start = from;
    while (start < to) {
      const first = this.#firsts[start];
      const second = this.#seconds[start];
      let end = start + 1;
      while (end < to && this.#firsts[end] === first && this.#seconds[end] === second) end++;
      if (end - start > 1) this.#sort(start, end, depth + CHUNK_BYTES);
      start = end;
    }
  }

  #forGroups(
    chunks: Uint32Array,
    from: number,
    to: number,
    body: (start: number, end: number) => void,
  ): void {
    let start = from;
    while (start < to) {
      const chunk = chunks[start];
      let end = start + 1;
      while (end < to && chunks[end] === chunk) end++;
      if (end - start > 1) body(start, end);
      start = end;
    }
  }

  /** Fetches the eight bytes at `depth`; true if they are the same in all keys. */
  #fetch(from: number, to: number, depth: number): boolean {
    let differ = 0;
    for (let index = from; index < to; index++) {
      const entry = this.#entries[index]!;
      // A key is padded with NULs to a whole word; what follows belongs to the next entry.
      const rest = (this.#words[entry]! & ENTRY_LENGTH_MASK) - depth;
      const at = (entry + ENTRY_KEY_WORD) * 4 + depth;
      const first = rest > 0 ? this.#view.getUint32(at) : 0;
      const second = rest > 4 ? this.#view.getUint32(at + 4) : 0;
      this.#firsts[index] = first;
      this.#seconds[index] = second;
      differ |= (first ^ this.#firsts[from]!) | (second ^ this.#seconds[from]!);
    }
    // Keys differ, so if all chunks are equal, no key has ended here.
    return differ === 0;
  }

  /** Stable radix sort of `[from, to)` by one of the chunks. */
  #radix(chunk: "firsts" | "seconds", from: number, to: number): void {
    const bits = to - from < RADIX_ENTRIES_WIDE ? RADIX_BITS : RADIX_BITS_WIDE;
    const digits = 1 << bits;
    const places = this.#places;
    let source = this.#columns;
    let target = this.#others;
    for (let shift = 0; shift < 32; shift += bits) {
      const { entries, firsts, seconds } = source;
      const chunks = source[chunk];
      places.fill(0, 0, digits);
      for (let index = from; index < to; index++) {
        const digit = (chunks[index]! >>> shift) & (digits - 1);
        places[digit] = places[digit]! + 1;
      }
      if (places[(chunks[from]! >>> shift) & (digits - 1)] === to - from) continue;
      let before = from;
      for (let digit = 0; digit < digits; digit++) {
        const count = places[digit]!;
        places[digit] = before;
        before += count;
      }
      for (let index = from; index < to; index++) {
        const digit = (chunks[index]! >>> shift) & (digits - 1);
        const place = places[digit]!;
        places[digit] = place + 1;
        target.entries[place] = entries[index]!;
        target.firsts[place] = firsts[index]!;
        target.seconds[place] = seconds[index]!;
      }
      [source, target] = [target, source];
    }
    if (source === this.#columns) return;
    for (const name of ["entries", "firsts", "seconds"] as const) {
      target[name].set(source[name].subarray(from, to), from);
    }
  }

  /** Insertion sort of `[from, to)` by both chunks. */
  #insert(from: number, to: number): void {
    const entries = this.#entries;
    const firsts = this.#firsts;
    const seconds = this.#seconds;
    for (let index = from + 1; index < to; index++) {
      const entry = entries[index]!;
      const first = firsts[index]!;
      const second = seconds[index]!;
      let place = index;
      while (place > from) {
        const other = firsts[place - 1]!;
        if (other < first || (other === first && seconds[place - 1]! <= second)) break;
        entries[place] = entries[place - 1]!;
        firsts[place] = other;
        seconds[place] = seconds[place - 1]!;
        place--;
      }
      entries[place] = entry;
      firsts[place] = first;
      seconds[place] = second;
    }
  }
}

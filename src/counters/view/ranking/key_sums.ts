/**
 * Sums by key: what the logs add to one keyspace. A hash table over words, so that a record is added
 * without allocating; keys are numbered 0, 1, 2 … as they come.
 *
 * A sum is kept in 96 bits (two halves and the words above them): 2^32 records of any increment cannot
 * leave it, so sums are exact and the order of additions does not matter.
 */

import { assert } from "../../../base/assert.ts";
import { grown } from "../../../base/grown.ts";
import { carryOf } from "../../../base/int64.ts";
import { KeyedHash, PROBES_MAX } from "../../../base/keyed_hash.ts";

/** Sums by number of their key, for callers that never search for a key. */
export interface SumList {
  readonly count: number;
  readonly top: Int32Array;
  readonly high: Int32Array;
  readonly low: Int32Array;
  readonly keyStart: Uint32Array;
  readonly keyLength: Uint16Array;
  /** All keys; each begins at its `keyStart` / 4. */
  readonly words: Int32Array;
  /** Memory that keys and sums need, at least. */
  readonly bytes: number;
}

const ENTRIES_MIN = 32;
/** Size of an entry without its key: three words of the sum, the start of the key and its length. */
const ENTRY_BYTES = 3 * 4 + 4 + 2;
const KEY_WORDS_MIN = 4;

export class KeySums implements SumList {
  /** Top, high and low 32 bits of each sum (two's complement over all three). */
  top = new Int32Array(ENTRIES_MIN);
  high = new Int32Array(ENTRIES_MIN);
  low = new Int32Array(ENTRIES_MIN);
  /** Where each key begins in `keys`, and its length, in bytes. */
  keyStart = new Uint32Array(ENTRIES_MIN);
  keyLength = new Uint16Array(ENTRIES_MIN);

  #count = 0;
  /**
   * Open addressing, half full at most. A slot is two words: the hash, and the number + 1, or 0 if it is
   * free. So a slot of another key is skipped without reading anything else.
   */
  #slots = new Int32Array(2 * 2 * ENTRIES_MIN);
  #words = new Int32Array(ENTRIES_MIN * KEY_WORDS_MIN);
  #wordsEnd = 0;
  #keys = new DataView(this.#words.buffer);
  readonly #hash = new KeyedHash();

  get count(): number {
    return this.#count;
  }

  /** All keys, one after the other, each padded with NUL to whole words. */
  get keys(): DataView<ArrayBuffer> {
    return this.#keys;
  }

  /** End of a key in `keys`. */
  keyEnd(index: number): number {
    return this.keyStart[index]! + this.keyLength[index]!;
  }

  /** Adds to the key at `words[at]` (`length` bytes, NUL padded); returns its number. */
  add(
    words: Int32Array,
    at: number,
    length: number,
    top: number,
    high: number,
    low: number,
  ): number {
    const index = this.numberOf(words, at, length);
    this.increase(index, top, high, low);
    return index;
  }

  /** Number of a key. A new key gets the next number, with the sum 0. */
  numberOf(words: Int32Array, at: number, length: number): number {
    const hash = this.#hashOf(words, at, length);
    const index = this.#find(words, at, length, hash);
    return index < 0 ? this.#insert(words, at, length, hash) : index;
  }

  /** Adds to the key with this number. */
  increase(index: number, top: number, high: number, low: number): void {
    const oldHigh = this.high[index]!;
    const oldLow = this.low[index]!;
    const newLow = (oldLow + low) | 0;
    const newHigh = (oldHigh + high + carryOf(oldLow, low, newLow)) | 0;
    // Mostly 0: then the top, which is in other memory, is not touched.
    const more = top + carryOf(oldHigh, high, newHigh);
    if (more !== 0) this.top[index] = (this.top[index]! + more) | 0;
    this.high[index] = newHigh;
    this.low[index] = newLow;
  }

  /** Number of a key, or −1. */
  find(words: Int32Array, at: number, length: number): number {
    return this.#find(words, at, length, this.#hashOf(words, at, length));
  }

  /** Words of `keys`, for adding a key of this table to another one. */
  get words(): Int32Array {
    return this.#words;
  }

  get bytes(): number {
    return this.#count * ENTRY_BYTES + this.#wordsEnd * 4;
  }

  /** The same sums in no more memory than they need. */
  toList(): SumList {
    const count = this.#count;
    return {
      count,
      top: this.top.slice(0, count),
      high: this.high.slice(0, count),
      low: this.low.slice(0, count),
      keyStart: this.keyStart.slice(0, count),
      keyLength: this.keyLength.slice(0, count),
      words: this.#words.slice(0, this.#wordsEnd),
      bytes: this.bytes,
    };
  }

  #find(words: Int32Array, at: number, length: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = (hash << 1) & mask;; slot = (slot + 2) & mask) {
      const index = slots[slot + 1]! - 1;
      if (index < 0) return -1;
      if (slots[slot] === hash && this.#isKey(index, words, at, length)) return index;
    }
  }

  #isKey(index: number, words: Int32Array, at: number, length: number): boolean {
    if (this.keyLength[index] !== length) return false;
    const start = this.keyStart[index]! >>> 2;
    const wordCount = (length + 3) >>> 2;
    for (let word = 0; word < wordCount; word++) {
      if (this.#words[start + word] !== words[at + word]) return false;
    }
    return true;
  }

  #insert(words: Int32Array, at: number, length: number, hash: number): number {
    const index = this.#count;
    if (index === this.low.length) this.#growEntries();
    const wordCount = (length + 3) >>> 2;
    if (this.#wordsEnd + wordCount > this.#words.length) this.#growWords(wordCount);
    for (let word = 0; word < wordCount; word++) {
      this.#words[this.#wordsEnd + word] = words[at + word]!;
    }
    this.top[index] = this.high[index] = this.low[index] = 0;
    this.keyStart[index] = this.#wordsEnd * 4;
    this.keyLength[index] = length;
    this.#wordsEnd += wordCount;
    this.#count++;
    if (this.#place(index, hash) > PROBES_MAX) this.#hashAnew();
    return index;
  }

  /** Puts an entry into the first free slot; returns how many slots it skipped. */
  #place(index: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const home = (hash << 1) & mask;
    let slot = home;
    while (slots[slot + 1] !== 0) slot = (slot + 2) & mask;
    slots[slot] = hash;
    slots[slot + 1] = index + 1;
    return ((slot - home) & mask) >>> 1;
  }

  #growEntries(): void {
    const length = this.low.length * 2;
    this.top = grown(this.top, length);
    this.high = grown(this.high, length);
    this.low = grown(this.low, length);
    this.keyStart = grown(this.keyStart, length);
    this.keyLength = grown(this.keyLength, length);
    const before = this.#slots;
    this.#slots = new Int32Array(2 * 2 * length);
    for (let slot = 0; slot < before.length; slot += 2) {
      const index = before[slot + 1]! - 1;
      if (index >= 0) this.#place(index, before[slot]!);
    }
  }

  #growWords(wordCount: number): void {
    const length = Math.max(this.#words.length * 2, this.#wordsEnd + wordCount);
    assert(length < 2 ** 30, "Keys of one table stay below 4 GiB");
    this.#words = grown(this.#words, length);
    this.#keys = new DataView(this.#words.buffer);
  }

  #hashOf(words: Int32Array, at: number, length: number): number {
    return this.#hash.of(words, at, at + ((length + 3) >>> 2), length);
  }

  /** Defends against keys that were made to collide: all keys get other hashes, and so other slots. */
  #hashAnew(): void {
    if (!this.#hash.renew(this.#count)) return;
    this.#slots.fill(0);
    for (let index = 0; index < this.#count; index++) {
      const hash = this.#hashOf(this.#words, this.keyStart[index]! >>> 2, this.keyLength[index]!);
      this.#place(index, hash);
    }
  }
}

/**
 * What a fold adds to one keyspace: the exact sum of the increments of each key, sorted by key.
 *
 * An entry lies in an arena of 32-bit words, so that sums are added and keys compared without
 * allocating:
 *
 *     word 0   key length in the low 9 bits; the owner of the arena uses the bits above
 *     word 1   low half of the sum     } wrapped to 64 bits; `wraps` has how often
 *     word 2   high half of the sum    } a sum left int64, so it stays exact
 *     word 3…  key bytes, NUL padded to whole words
 *
 * Invariants: 1. keys ascend strictly; 2. no key holds NUL or more than 256 bytes; 3. an entry holds at
 * least one increment that was not 0, although its sum may be 0.
 */

import { assert } from "../../../base/assert.ts";
import { highHalf, joinInt64, lowHalf } from "../../../base/int64.ts";
import { compareBytes } from "../pages/compare.ts";
import { KEY_BYTES_MAX } from "../pages/page.ts";

export const ENTRY_LOW_WORD = 1;
export const ENTRY_HIGH_WORD = 2;
export const ENTRY_KEY_WORD = 3;
export const ENTRY_LENGTH_MASK = 0x1ff;

export class Batch {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(
    readonly words: Int32Array,
    /** Where each entry begins in `words`, in key order. */
    readonly entries: Uint32Array,
    /** For entries whose sum is outside int64: multiples of 2^64 to add to the stored sum, by entry. */
    readonly wraps: ReadonlyMap<number, number>,
  ) {
    this.bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  }

  /** Sums pairs of key and increment. For tests and small amounts. */
  static of(pairs: Iterable<readonly [Uint8Array | string, bigint]>): Batch {
    const sums = new Map<string, bigint>();
    for (const [key, increment] of pairs) {
      if (increment === 0n) continue;
      const text = typeof key === "string" ? utf8ToLatin1(key) : bytesToLatin1(key);
      sums.set(text, (sums.get(text) ?? 0n) + increment);
    }
    return Batch.ofSums(sums);
  }

  /** Exact sums by key, as a Latin-1 string of its bytes. A sum of 0 makes a counter. For small amounts. */
  static ofSums(sums: ReadonlyMap<string, bigint>): Batch {
    const keys = [...sums.keys()].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
    const words = new Int32Array(
      keys.reduce((total, key) => total + ENTRY_KEY_WORD + ((key.length + 3) >> 2), 0),
    );
    const bytes = new Uint8Array(words.buffer);
    const entries = new Uint32Array(keys.length);
    const wraps = new Map<number, number>();
    let next = 0;
    keys.forEach((key, index) => {
      assert(key.length <= KEY_BYTES_MAX, "A key has at most 256 bytes");
      const sum = sums.get(key) ?? 0n;
      const wrapped = BigInt.asIntN(64, sum);
      if (wrapped !== sum) wraps.set(next, Number((sum - wrapped) >> 64n));
      entries[index] = next;
      words[next] = key.length;
      words[next + ENTRY_LOW_WORD] = lowHalf(wrapped);
      words[next + ENTRY_HIGH_WORD] = highHalf(wrapped);
      const start = (next + ENTRY_KEY_WORD) * 4;
      for (let at = 0; at < key.length; at++) bytes[start + at] = key.charCodeAt(at);
      next += ENTRY_KEY_WORD + ((key.length + 3) >> 2);
    });
    return new Batch(words, entries, wraps);
  }

  get length(): number {
    return this.entries.length;
  }

  keyStart(index: number): number {
    return (this.entries[index]! + ENTRY_KEY_WORD) * 4;
  }

  keyLength(index: number): number {
    return this.words[this.entries[index]!]! & ENTRY_LENGTH_MASK;
  }

  /** Copies the key. */
  key(index: number): Uint8Array {
    const start = this.keyStart(index);
    return this.bytes.slice(start, start + this.keyLength(index));
  }

  /** The exact sum, even if it does not fit int64. */
  sum(index: number): bigint {
    const entry = this.entries[index]!;
    const wrapped = joinInt64(
      this.words[entry + ENTRY_HIGH_WORD]!,
      this.words[entry + ENTRY_LOW_WORD]!,
    );
    return wrapped + (BigInt(this.wraps.get(entry) ?? 0) << 64n);
  }

  /** Below, at or above 0 as the key at `index` sorts before, with or after the other bytes. */
  compareKey(index: number, other: DataView, start: number, end: number): number {
    const keyStart = this.keyStart(index);
    const keyEnd = keyStart + this.keyLength(index);
    return compareBytes(this.view, keyStart, keyEnd, other, start, end);
  }
}

function bytesToLatin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function utf8ToLatin1(text: string): string {
  return bytesToLatin1(new TextEncoder().encode(text));
}

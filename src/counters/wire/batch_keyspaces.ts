/**
 * The keyspaces that a batch has defined so far, found by the words of their names. Small for the few
 * keyspaces of ordinary traffic, and bounded against hostile traffic.
 */

import { assert } from "../../base/assert.ts";
import { grown } from "../../base/grown.ts";
import { KeyedHash, PROBES_MAX } from "../../base/keyed_hash.ts";
import { BATCH_KEYSPACES_MAX } from "./record.ts";
import { NAME_SIZE_MAX } from "./message_sizes.ts";

const NAME_WORDS_MAX = NAME_SIZE_MAX / 4;
const SLOTS_MIN = 64;

/** Gives names the numbers 0, 1, 2 …, until `clear`. */
export class BatchKeyspaces {
  #count = 0;
  /** Open addressing: each slot has the number of a keyspace + 1, or 0 if it is empty. */
  #slots = new Int32Array(SLOTS_MIN);
  #hashes = new Int32Array(SLOTS_MIN);
  #lengths = new Int32Array(SLOTS_MIN);
  /** Names one after the other, each in `NAME_WORDS_MAX` words. */
  #names = new Int32Array((SLOTS_MIN / 2) * NAME_WORDS_MAX);
  /** Keyed, so that a client cannot choose names that collide. */
  readonly #hash = new KeyedHash();

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === BATCH_KEYSPACES_MAX;
  }

  clear(): void {
    if (this.#count === 0) return;
    this.#count = 0;
    this.#slots.fill(0);
  }

  /** The number of the name at `words[start]` (`length` bytes, NUL padded), or −1. */
  find(words: Int32Array, start: number, length: number): number {
    const wordCount = (length + 3) >>> 2;
    const hash = this.#hash.of(words, start, start + wordCount, length);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1;
      if (number < 0) return -1;
      if (this.#hashes[number] !== hash || this.#lengths[number] !== length) continue;
      let difference = 0;
      const name = number * NAME_WORDS_MAX;
      for (let index = 0; index < wordCount; index++) {
        difference |= this.#names[name + index]! ^ words[start + index]!;
      }
      if (difference === 0) return number;
    }
  }

  /** Gives the next number to a name that `find` did not find. */
  add(words: Int32Array, start: number, length: number): number {
    assert(!this.isFull, "A batch defines no more keyspaces than it may");
    const number = this.#count;
    if ((number + 1) * 2 > this.#slots.length) this.#grow();
    const wordCount = (length + 3) >>> 2;
    const name = number * NAME_WORDS_MAX;
    for (let index = 0; index < wordCount; index++) {
      this.#names[name + index] = words[start + index]!;
    }
    const hash = this.#hash.of(words, start, start + wordCount, length);
    this.#hashes[number] = hash;
    this.#lengths[number] = length;
    this.#count++;
    if (this.#place(number, hash) > PROBES_MAX) this.#hashAnew();
    return number;
  }

  /** Puts a number into the first free slot; returns how many slots it skipped. */
  #place(number: number, hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = number + 1;
    return (slot - hash) & mask;
  }

  #grow(): void {
    const slots = this.#slots.length * 2;
    this.#hashes = grown(this.#hashes, slots);
    this.#lengths = grown(this.#lengths, slots);
    this.#names = grown(this.#names, (slots / 2) * NAME_WORDS_MAX);
    this.#slots = new Int32Array(slots);
    for (let number = 0; number < this.#count; number++) {
      this.#place(number, this.#hashes[number]!);
    }
  }

  /** Gives all names new hashes, and so other slots, because some were made to collide. */
  #hashAnew(): void {
    if (!this.#hash.renew(this.#count)) return;
    this.#slots.fill(0);
    for (let number = 0; number < this.#count; number++) {
      const name = number * NAME_WORDS_MAX;
      const length = this.#lengths[number]!;
      const hash = this.#hash.of(this.#names, name, name + ((length + 3) >>> 2), length);
      this.#hashes[number] = hash;
      this.#place(number, hash);
    }
  }
}

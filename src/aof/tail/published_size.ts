/**
 * The size of the data as an aligned 64-bit number in shared memory, stored after the bytes that it
 * covers. Tailers of other processes go by this number, because a payload may hold the bytes of a mark.
 *
 *   1. The number never goes down while a writer lives.
 *   2. Every byte below the number is stored before the number is.
 */

import { assert } from "../../base/assert.ts";

/** Bytes of the number; its offset is a multiple of them. */
export const PUBLISHED_SIZE_BYTES = 8;

export class PublishedSize {
  /** The lower and the upper half. All supported machines are little-endian. */
  readonly #halves: Int32Array;
  readonly #whole: BigInt64Array;
  #upperHalf = 0;

  constructor(bytes: Uint8Array, offset: number) {
    assert(
      (bytes.byteOffset + offset) % PUBLISHED_SIZE_BYTES === 0,
      "The published size is aligned",
    );
    this.#halves = new Int32Array(bytes.buffer, bytes.byteOffset + offset, 2);
    this.#whole = new BigInt64Array(bytes.buffer, bytes.byteOffset + offset, 1);
    this.#upperHalf = Atomics.load(this.#halves, 1);
  }

  store(size: number): void {
    const upperHalf = Math.floor(size / 2 ** 32);
    if (upperHalf === this.#upperHalf) {
      // Within 4 GiB only the lower half changes: one atomic store, and no bigint for each write.
      Atomics.store(this.#halves, 0, size | 0);
      return;
    }
    Atomics.store(this.#whole, 0, BigInt(size));
    this.#upperHalf = upperHalf;
  }

  load(): number {
    while (true) {
      const upperHalf = Atomics.load(this.#halves, 1);
      const lowerHalf = Atomics.load(this.#halves, 0);
      // The upper half only goes up: when it is the same after the lower one, both belong together.
      if (Atomics.load(this.#halves, 1) === upperHalf) {
        return upperHalf * 2 ** 32 + (lowerHalf >>> 0);
      }
    }
  }
}

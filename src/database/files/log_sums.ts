/**
 * Checksums over stretches of the log. A stretch is complete when it has 64 KiB, and its bytes never
 * change from then on. So a start can verify gigabytes of history without decoding the frames.
 *
 * Invariants:
 *   1  stretches follow each other from the end of the head page on, and end between two steps
 */

import { crc32 } from "node:zlib";
import { seedAt } from "../../file/checked_log/mod.ts";
import { BLOCK_BYTES_MIN, HEAD_PAGE_BYTES } from "../format/layout.ts";

export interface Sums {
  readonly ends: readonly number[];
  readonly checksums: readonly number[];
}

export class LogSums {
  readonly #seed: number;
  readonly #ends: number[];
  readonly #checksums: number[];

  constructor(seed: number, sums: Sums = { ends: [], checksums: [] }) {
    this.#seed = seed;
    this.#ends = [...sums.ends];
    this.#checksums = [...sums.checksums];
  }

  /** End of the last complete stretch. */
  get end(): number {
    return this.#ends.at(-1) ?? HEAD_PAGE_BYTES;
  }

  /** Completes a stretch if enough bytes precede `tail`, which must be between two steps. */
  advance(bytes: Uint8Array, tail: number): void {
    const start = this.end;
    if (tail - start < BLOCK_BYTES_MIN) return;
    this.#checksums.push(stretchChecksum(bytes, { start, end: tail, seed: this.#seed }));
    this.#ends.push(tail);
  }

  copy(): Sums {
    return { ends: [...this.#ends], checksums: [...this.#checksums] };
  }

  /** Start of the first stretch, from `from` on, whose bytes have changed; or −1. */
  firstDamage(bytes: Uint8Array, from: number): number {
    let start: number = HEAD_PAGE_BYTES;
    for (let index = 0; index < this.#ends.length; index++) {
      const end = this.#ends[index] as number;
      if (end > from) {
        if (end > bytes.length) return start;
        const sum = stretchChecksum(bytes, { start, end, seed: this.#seed });
        if (sum !== this.#checksums[index]) return start;
      }
      start = end;
    }
    return -1;
  }
}

function stretchChecksum(
  bytes: Uint8Array,
  stretch: { readonly start: number; readonly end: number; readonly seed: number },
): number {
  const { start, end, seed } = stretch;
  return crc32(bytes.subarray(start, end), seedAt(seed, start, end - start));
}

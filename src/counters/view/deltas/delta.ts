/**
 * The delta of one log: what it adds to a keyspace. Each log has sums of its own beside those of the
 * overlay, so that a folded log can be taken out without reading the others again.
 */

import { grown } from "../../../base/grown.ts";
import { HEAD_PAGE_BYTES } from "../../commitlog/mod.ts";
import { KeySums, type SumList } from "../ranking/key_sums.ts";
import type { Overlay } from "../ranking/overlay.ts";

/** About a millisecond of work. */
const ADDED_AT_ONCE = 8192;

export class Delta {
  /** Frames below this offset are in the sums. */
  indexedTo = HEAD_PAGE_BYTES;
  /** Offset of a batch that is not made of whole records: nothing behind it is read. */
  brokenAt: number | null = null;
  /** Null when the log is read to its end. */
  #growing: KeySums | null = new KeySums();
  #sums: SumList = this.#growing!;
  /** By number of a key in the sums: its number in the overlay + 1, or 0 if the overlay has no such key. */
  #inOverlay = new Int32Array(64);

  constructor(readonly generation: bigint) {}

  /** True after `close`: nothing can be added any more. */
  get isClosed(): boolean {
    return this.#growing === null;
  }

  /** Bytes of memory that the delta needs. */
  get bytes(): number {
    return this.#sums.bytes + this.#sums.count * Int32Array.BYTES_PER_ELEMENT;
  }

  /** Adds to the delta and to the overlay, with one search for a key that both know. */
  add(
    overlay: Overlay,
    words: Int32Array,
    at: number,
    length: number,
    top: number,
    high: number,
    low: number,
  ): void {
    const index = this.#growing!.add(words, at, length, top, high, low);
    overlay.increase(this.#numberIn(overlay, index), top, high, low);
  }

  /**
   * Adds keys of the delta, from number `from` on, to an overlay that has nothing of them. Returns the number
   * behind the last one, or null at the end.
   */
  addSomeTo(overlay: Overlay, from: number): number | null {
    if (from === 0) this.#inOverlay.fill(0);
    const { top, high, low, count } = this.#sums;
    const end = Math.min(count, from + ADDED_AT_ONCE);
    for (let index = from; index < end; index++) {
      const number = this.#numberIn(overlay, index);
      overlay.increase(number, top[index]!, high[index]!, low[index]!);
    }
    return end < count ? end : null;
  }

  /** Frees the memory that only growing needs. For a log that is sealed and read to its end. */
  close(): void {
    if (this.#growing === null) return;
    this.#sums = this.#growing.toList();
    this.#growing = null;
    this.#inOverlay = this.#inOverlay.slice(0, this.#sums.count);
  }

  #numberIn(overlay: Overlay, index: number): number {
    if (index >= this.#inOverlay.length) this.#inOverlay = grown(this.#inOverlay, 2 * index);
    let number = this.#inOverlay[index]! - 1;
    if (number < 0) {
      const { words, keyStart, keyLength } = this.#sums;
      number = overlay.sums.numberOf(words, keyStart[index]! >>> 2, keyLength[index]!);
      this.#inOverlay[index] = number + 1;
    }
    return number;
  }
}

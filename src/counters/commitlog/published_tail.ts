/**
 * The end of the frames that readers may read: a word of the first page, stored after the bytes that it
 * covers. A log is shorter than 2^31 bytes, so only the low half ever changes.
 */

import { assert } from "../../base/assert.ts";
import { LOG_SIZE_MAX } from "../../base/pool_defaults.ts";
import { HEAD_PAGE_BYTES, liveLayout } from "./layout.ts";

export class PublishedTail {
  /** The low and the high half. All supported machines are little-endian. */
  readonly #halves: Int32Array;

  /** `page` is the mapped first page of the log. */
  constructor(page: Uint8Array) {
    const { offset } = liveLayout.publishedTail;
    this.#halves = new Int32Array(page.buffer, page.byteOffset + offset, 2);
  }

  load(): number {
    return Atomics.load(this.#halves, 0) >>> 0;
  }

  store(tail: number): void {
    assert(tail >= HEAD_PAGE_BYTES && tail <= LOG_SIZE_MAX, "A tail is inside its log");
    Atomics.store(this.#halves, 0, tail);
  }

  /** Unpublishes everything, so that no reader takes the tail of the last use for that of the next. */
  withdraw(): void {
    Atomics.store(this.#halves, 0, 0);
    Atomics.store(this.#halves, 1, 0);
  }
}

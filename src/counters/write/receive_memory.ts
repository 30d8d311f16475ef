/**
 * The memory that connections read into: little for the many that say little, much for the few that never
 * stop, because a read costs what it costs. A large piece outlives its connection and goes to the next
 * one: memory outside the heap is freed when the collector comes around to it, which for a client that
 * connects again every second means tens of mebibytes of leisure.
 */

import { assert } from "../../base/assert.ts";

const SMALL_BYTES = 32 * 1024;
const LARGE_BYTES = 1024 * 1024;
/** Connections that may have a large piece at one time; the others do with a middling one. */
const LARGE_MAX = 64;
const MIDDLING_BYTES = 128 * 1024;
/** Large pieces that are kept while nobody uses them. */
const SPARE_MAX = 8;

export class ReceiveMemory {
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  #largeInUse = 0;

  /** Large pieces that connections have. */
  get largeInUse(): number {
    return this.#largeInUse;
  }

  /** What a connection begins with. */
  small(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(SMALL_BYTES);
  }

  /** More than `memory`, for a connection that has filled it; null where there is no more to be had. */
  largerThan(memory: Uint8Array): Uint8Array<ArrayBuffer> | null {
    if (memory.length >= LARGE_BYTES) return null;
    if (this.#largeInUse === LARGE_MAX) {
      return memory.length < MIDDLING_BYTES ? new Uint8Array(MIDDLING_BYTES) : null;
    }
    this.#largeInUse++;
    return this.#spare.pop() ?? new Uint8Array(LARGE_BYTES);
  }

  /** A connection has ended. What a read may still store into must not be given to another one. */
  release(
    memory: Uint8Array<ArrayBuffer>,
    { isReadInto }: { readonly isReadInto: boolean },
  ): void {
    if (memory.length < LARGE_BYTES) return;
    assert(this.#largeInUse > 0, "Large memory comes back once");
    this.#largeInUse--;
    if (!isReadInto && this.#spare.length < SPARE_MAX) this.#spare.push(memory);
  }
}

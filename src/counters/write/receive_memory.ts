/**
 * The memory that connections read into: a small piece for the many that send little, a large one for the
 * few that never stop, because each read has a fixed cost. A large piece is kept for the next connection:
 * memory outside the heap is freed only when the collector runs. For a client that connects again every
 * second, tens of mebibytes would wait for it.
 */

import { assert } from "../../base/assert.ts";

const SMALL_BYTES = 32 * 1024;
const LARGE_BYTES = 1024 * 1024;
/** Connections that may have a large piece at one time; the others get a middling one. */
const LARGE_MAX = 64;
const MIDDLING_BYTES = 128 * 1024;
/** Large pieces that are kept while no connection uses them. */
const SPARE_MAX = 8;

export class ReceiveMemory {
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  #largeInUse = 0;

  /** Large pieces that connections have. */
  get largeInUse(): number {
    return this.#largeInUse;
  }

  /** The piece that a connection begins with. */
  small(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(SMALL_BYTES);
  }

  /**
   * A larger piece than `memory`, for a connection that has filled it, or that needs `wantedBytes` in a row; null
   * if there is none now.
   */
  largerThan(memory: Uint8Array, wantedBytes = 0): Uint8Array<ArrayBuffer> | null {
    if (ReceiveMemory.isLarge(memory)) return null;
    const large = this.large();
    if (large !== null) return large;
    const isOfUse = memory.length < MIDDLING_BYTES && wantedBytes <= MIDDLING_BYTES;
    return isOfUse ? new Uint8Array(MIDDLING_BYTES) : null;
  }

  /** A large piece; null if all are in use. */
  large(): Uint8Array<ArrayBuffer> | null {
    if (this.#largeInUse === LARGE_MAX) return null;
    this.#largeInUse++;
    return this.#spare.pop() ?? new Uint8Array(LARGE_BYTES);
  }

  static isLarge(memory: Uint8Array): boolean {
    return memory.length >= LARGE_BYTES;
  }

  /** Takes the piece of a connection that has ended. It is not used again if a read may still fill it. */
  release(
    memory: Uint8Array<ArrayBuffer>,
    { isReadInto }: { readonly isReadInto: boolean },
  ): void {
    if (!ReceiveMemory.isLarge(memory)) return;
    assert(this.#largeInUse > 0, "A large piece is released once");
    this.#largeInUse--;
    if (!isReadInto && this.#spare.length < SPARE_MAX) this.#spare.push(memory);
  }
}

/**
 * The memory that connections read into: little for the many that say little, much for the few that never
 * stop, because a read costs what it costs. A large piece outlives its connection and goes to the next
 * one: memory outside the heap is freed when the collector comes around to it, which for a client that
 * connects again every second means tens of mebibytes of leisure.
 */

import { assert } from "../../base/assert.ts";

const smallBytes = 32 * 1024;
const largeBytes = 1024 * 1024;
/** Connections that may have a large piece at one time; the others do with a middling one. */
const largeMax = 64;
const middlingBytes = 128 * 1024;
/** Large pieces that are kept while nobody uses them. */
const spareMax = 8;

export class ReceiveMemory {
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  #largeInUse = 0;

  /** Large pieces that connections have. */
  get largeInUse(): number {
    return this.#largeInUse;
  }

  /** What a connection begins with. */
  small(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(smallBytes);
  }

  /** More than `memory`, for a connection that has filled it; null where there is no more to be had. */
  largerThan(memory: Uint8Array): Uint8Array<ArrayBuffer> | null {
    if (memory.length >= largeBytes) return null;
    if (this.#largeInUse === largeMax) {
      return memory.length < middlingBytes ? new Uint8Array(middlingBytes) : null;
    }
    this.#largeInUse++;
    return this.#spare.pop() ?? new Uint8Array(largeBytes);
  }

  /** A connection has ended. What a read may still store into must not be given to another one. */
  giveBack(
    memory: Uint8Array<ArrayBuffer>,
    { isReadInto }: { readonly isReadInto: boolean },
  ): void {
    if (memory.length < largeBytes) return;
    assert(this.#largeInUse > 0, "Large memory comes back once");
    this.#largeInUse--;
    if (!isReadInto && this.#spare.length < spareMax) this.#spare.push(memory);
  }
}

/**
 * Buffers of replies. A connection has one only while it answers, so the memory is that of the connections
 * that answer at one time, and not of all that have ever asked for much.
 */

import { RowBuffer } from "../view/mod.ts";

const START_BYTES = 16 * 1024;
/** A buffer that has grown beyond this shrinks again when it is given back. */
const KEPT_BYTES = 1024 * 1024;
/** Buffers that wait for the next connection. */
const KEPT_MAX = 16;

export class ReplyBuffers {
  readonly #free: RowBuffer[] = [];

  take(): RowBuffer {
    return this.#free.pop() ?? new RowBuffer(START_BYTES, KEPT_BYTES);
  }

  /** Nothing of the buffer may be used any more. */
  giveBack(buffer: RowBuffer): void {
    buffer.reset();
    if (this.#free.length < KEPT_MAX) this.#free.push(buffer);
  }
}

/**
 * Measures pieces of work in processor time of the thread, and mostly asks for wall time, which costs a tenth of a
 * microsecond. The system call for processor time costs half of one, but in a busy process the system often changes
 * to another thread there: a tenth of a millisecond for each call (mean of 200, measured).
 */

import type { Clock } from "../base/clock.ts";

/** A piece that is this short in wall time is taken as it is, although other programs may have worked in it. */
const UNASKED_MS = 2;
/** Others are measured from a reading that is at most this old when the piece begins. */
const READING_MS = 5;

export class LoopTime {
  readonly #clock: Clock;
  readonly #processorMs: () => number;
  /** The last reading, and its wall time. */
  #read = { processorMs: 0, wallMs: -Infinity };

  constructor(clock: Clock, processorMs: () => number) {
    this.#clock = clock;
    this.#processorMs = processorMs;
  }

  /** Wall time in milliseconds. A piece of work begins. */
  startMs(): number {
    const wallMs = this.#clock.nowMs();
    if (wallMs - this.#read.wallMs > READING_MS) {
      this.#read = { processorMs: this.#processorMs(), wallMs };
    }
    return wallMs;
  }

  /**
   * Processor time, in milliseconds, of a piece of work that began at `startMs`. At most the wall time; more than
   * the truth by what other programs had of a short piece, or by what the thread did just before a long one.
   */
  workedMs(startMs: number): number {
    const lastedMs = this.#clock.nowMs() - startMs;
    if (lastedMs < UNASKED_MS) return lastedMs;
    return Math.min(lastedMs, this.#processorMs() - this.#read.processorMs);
  }
}

/**
 * Touches the pages of a log ahead of its tail, on another thread. A store into a fresh page of a
 * mapping costs a fault, and every fdatasync makes the written pages fault again, which is many times
 * the store itself. But a touched page counts as dirty, so a log that fills slowly must not be touched as
 * a whole: the window doubles while it is used up quickly and falls back when input pauses.
 */

import type { ActiveLog } from "../commitlog/mod.ts";

const windowBytesMin = 128 * 1024;
const windowBytesMax = 4 * 2 ** 20;
const pauseMs = 200;

export class PopulateAhead {
  #windowBytes = windowBytesMin;
  #busy = false;
  #lastMs = 0;
  readonly #populatedTo = new WeakMap<ActiveLog, number>();

  /** Called after appends; returns at once. */
  follow(log: ActiveLog, nowMs: number): void {
    if (this.#busy) return;
    const from = Math.max(this.#populatedTo.get(log) ?? 0, log.tail);
    if (from >= log.size || from - log.tail > this.#windowBytes / 2) return;
    this.#windowBytes = nowMs - this.#lastMs > pauseMs
      ? windowBytesMin
      : Math.min(windowBytesMax, this.#windowBytes * 2);
    this.#lastMs = nowMs;
    this.#populate(log, from);
  }

  /** For a spare, before its first append. */
  prepare(log: ActiveLog): void {
    if (!this.#busy) this.#populate(log, log.tail);
  }

  #populate(log: ActiveLog, from: number): void {
    this.#busy = true;
    const done = (to: number) => {
      this.#populatedTo.set(log, to);
      this.#busy = false;
    };
    // It is only help: where it fails, stores take their faults themselves.
    log.populate(from, this.#windowBytes).then(done, () => done(log.size));
  }
}

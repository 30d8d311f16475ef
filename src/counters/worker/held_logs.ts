/**
 * How long the logs behind a log that another process holds wait for it. A process that releases, opens or
 * recovers a log holds it for a moment; one that was stopped must not stop all folds.
 */

import type { Clock } from "../../base/clock.ts";

/** Later logs wait no longer than this for one log. */
const HELD_WAIT_MS = 1000;

interface HeldSince {
  readonly holder: string;
  readonly end: number;
  readonly sinceMs: number;
}

export class HeldLogs {
  readonly #since = new Map<number, HeldSince>();

  constructor(readonly clock: Clock) {}

  /**
   * Whether later logs should wait for this one. An active log has the holder, and the end of its frames. If
   * the end moves, the holder is its living writer, and no log waits. Another holder may recover the log.
   */
  waitsFor(slot: number, holder = "", end = 0): boolean {
    const nowMs = this.clock.nowMs();
    const before = this.#since.get(slot);
    let sinceMs = before?.holder === holder ? before.sinceMs : nowMs;
    if (before?.holder === holder && before.end !== end) sinceMs = -Infinity;
    this.#since.set(slot, { holder, end, sinceMs });
    return nowMs - sinceMs < HELD_WAIT_MS;
  }

  /** To call when the log is free, or is taken: its next use is waited for anew. */
  forget(slot: number): void {
    this.#since.delete(slot);
  }
}

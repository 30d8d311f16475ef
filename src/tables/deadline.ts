/**
 * Waiting for a lock by trying: a pause that doubles from one to a few milliseconds, up to a
 * deadline on the monotonic clock. The pauses stay short, so that a caller that has waited long keeps a
 * fair chance against a new one. Their random part keeps waiters out of step.
 */

import type { Clock } from "../base/clock.ts";
import { LockDeadlineError } from "./errors.ts";

const PAUSE_MS_MIN = 1;
const PAUSE_MS_MAX = 8;

export class Deadline {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #endMs: number;
  #pauseMs = PAUSE_MS_MIN;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#endMs = clock.nowMs() + timeoutMs;
  }

  /**
   * Wait before the next try. Throws `LockDeadlineError` (naming `path`) once the time is over, so the
   * last try is made at the deadline and never before it.
   */
  async pause(path: string): Promise<void> {
    const remainingMs = this.#endMs - this.#clock.nowMs();
    if (remainingMs <= 0) throw new LockDeadlineError(path, this.#timeoutMs);
    const pauseMs = this.#pauseMs * (0.5 + randomFraction() / 2);
    this.#pauseMs = Math.min(PAUSE_MS_MAX, this.#pauseMs * 2);
    await this.#clock.sleep(Math.min(remainingMs, pauseMs));
  }
}

function randomFraction(): number {
  return (crypto.getRandomValues(new Uint8Array(1))[0] as number) / 256;
}

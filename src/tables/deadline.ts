/**
 * Waiting for a lock by trying: a pause that doubles from one to a few milliseconds, up to a
 * deadline on the monotonic clock. The pauses stay short, so that a caller that has waited long keeps a
 * fair chance against a new one. Their random part keeps waiters out of step.
 */

import type { Clock } from "../base/clock.ts";
import { LockDeadlineError } from "./errors.ts";

const PAUSE_MS_MIN = 1;
const PAUSE_MS_MAX = 8;

class Deadline {
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

/** Why a try failed. */
export type Refusal =
  /** The name leads nowhere. */
  | "absent"
  /** Another process or handle holds the lock. */
  | "held"
  /** The name leads to another file now: try again. */
  | "moved";

/** Tries that find another file under the name, before a call pauses as if it were locked. */
export const MOVES_MAX = 8;

/**
 * Tries until no other process or handle is in the way, at most as long as the lock timeout. If the name
 * leads nowhere, `absent` decides: true ends it with null, false tries again, and it may throw.
 */
export async function retryUntilDeadline<Result extends object>(
  { path, clock, lockTimeoutMs }: {
    readonly path: string;
    readonly clock: Clock;
    readonly lockTimeoutMs: number;
  },
  attempt: () => Result | Refusal,
  absent: () => boolean,
): Promise<Result | null> {
  let deadline: Deadline | null = null;
  for (let moves = 0;;) {
    const result = attempt();
    if (typeof result !== "string") return result;
    if (result === "absent" && absent()) return null;
    deadline ??= new Deadline(clock, lockTimeoutMs);
    if (result === "held" || ++moves % MOVES_MAX === 0) await deadline.pause(path);
  }
}

function randomFraction(): number {
  return (crypto.getRandomValues(new Uint8Array(1))[0] as number) / 256;
}

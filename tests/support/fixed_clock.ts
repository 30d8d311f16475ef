/** A clock that moves only when a test moves it. */
import type { Clock } from "../../src/base/clock.ts";

export interface FixedClock extends Clock {
  advance(timeMs: number): void;
}

/** Both readings begin at `wallMs` and 0; a sleep ends at once. */
export function clockAt(wallMs: number): FixedClock {
  let passedMs = 0;
  return {
    nowMs: () => passedMs,
    wallMs: () => wallMs + passedMs,
    sleep: () => Promise.resolve(),
    advance: (timeMs) => {
      passedMs += timeMs;
    },
  };
}

/** Waiting for one of two things: the end of something, a request to stop, or a time. */

import type { Clock } from "./clock.ts";

/** Resolves when the signal fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Waits for `ended`, but not longer than `timeMs`. Returns whether it has ended. */
export async function endsWithin(
  ended: Promise<unknown>,
  clock: Clock,
  timeMs: number,
): Promise<boolean> {
  const timer = new AbortController();
  const isOver = await Promise.race([
    ended.then(() => true),
    clock.sleep(timeMs, timer.signal).then(() => false),
  ]);
  timer.abort();
  return isOver;
}

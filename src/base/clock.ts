/**
 * Time comes in through a `Clock`, so that tests can hold it still or move it. Ages and waits use the
 * monotonic reading only; wall time is for display.
 */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start; never goes back. */
  nowMs(): number;
  /** Milliseconds since 1970, for display only. */
  wallMs(): number;
  /** Resolves after `delayMs`, or at once when the signal is aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      signal?.addEventListener("abort", done);
    }),
};

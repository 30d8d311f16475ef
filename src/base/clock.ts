/**
 * Source of time. Code that needs the time takes a `Clock`, so that tests can stop it or move it. Ages
 * and waits use the monotonic reading only; wall time is for display.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start, with fractions. Monotonic: never goes back. */
  nowMs(): number;
  /** Milliseconds since the start of 1970 (UTC), for display only. */
  wallMs(): number;
  /** Wait `delayMs` milliseconds, or until `signal` is aborted. Never rejects. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of this machine. */
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

/** Signals that ask a daemon to stop cleanly. */

const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * Fires at the first SIGTERM, SIGINT or SIGHUP. Further signals change nothing: a terminal and the
 * program that started us may both send one, and the stop must still be a clean one.
 */
export function watchSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of STOP_SIGNALS) {
    Deno.addSignalListener(signal, () => controller.abort(signal));
  }
  return controller.signal;
}

/** Signals that ask a daemon to stop cleanly. */

const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** What has to be asked of the system, which the runtime does not tell. */
export interface Hangup {
  isHangupIgnored(): boolean;
  ignoreHangup(): void;
}

/**
 * Fires at the first SIGTERM, SIGINT or SIGHUP. Further signals change nothing: a terminal and the
 * program that started us may both send one, and the stop must still be a clean one. A SIGHUP that was
 * ignored before, as under `nohup`, stays ignored, also in processes that are started later.
 */
export function watchSignals({ isHangupIgnored, ignoreHangup }: Hangup): AbortSignal {
  const controller = new AbortController();
  const isIgnored = isHangupIgnored();
  for (const signal of STOP_SIGNALS) {
    if (signal === "SIGHUP" && isIgnored) continue;
    Deno.addSignalListener(signal, () => controller.abort(signal));
  }
  // With the first listener, whatever its signal, the runtime catches SIGHUP as well.
  if (isIgnored) ignoreHangup();
  return controller.signal;
}

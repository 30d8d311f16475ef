/** Catches the signals that ask a daemon to stop cleanly. */

const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** System calls about SIGHUP that the runtime does not offer. */
export interface Hangup {
  isHangupIgnored(): boolean;
  ignoreHangup(): void;
}

/**
 * Fires at the first SIGTERM, SIGINT or SIGHUP. Further signals change nothing: a terminal and the
 * program that started countd may both send one, and the stop must still be clean. A SIGHUP that was
 * ignored before, as under `nohup`, stays ignored, also in child processes.
 */
export function watchSignals({ isHangupIgnored, ignoreHangup }: Hangup): AbortSignal {
  const controller = new AbortController();
  const isIgnored = isHangupIgnored();
  for (const signal of STOP_SIGNALS) {
    if (signal === "SIGHUP" && isIgnored) continue;
    Deno.addSignalListener(signal, () => controller.abort(signal));
  }
  // The first listener makes the runtime catch SIGHUP too, whatever its own signal.
  if (isIgnored) ignoreHangup();
  return controller.signal;
}

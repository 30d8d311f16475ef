/** What operators learn of folds, by events and metrics. */

import { BusyError } from "../../base/errors.ts";
import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";

/** Events that say why folding waits. */
const SENTENCES = {
  space: "disk full: folding waits until space returns",
  resources: "out of descriptors or memory: folding waits until there are enough",
} as const;

/** What even a fold of one log lacks. */
export type Shortage = keyof typeof SENTENCES;

export class FoldReport {
  readonly #events: Events;
  readonly #metrics: Metrics;
  #shortage: Shortage | null = null;

  constructor({ events, metrics }: { readonly events: Events; readonly metrics: Metrics }) {
    this.#events = events;
    this.#metrics = metrics;
  }

  /** What folding waits for. */
  get shortage(): Shortage | null {
    return this.#shortage;
  }

  folded(
    { records, keyspaces, recycled, saturated }: {
      readonly records: number;
      readonly keyspaces: number;
      readonly recycled: number;
      readonly saturated: number;
    },
    durationMs: number,
  ): void {
    this.#metrics.counter("countd_fold_records_total").value += records;
    this.#metrics.histogram("countd_fold_seconds").observe(durationMs / 1000);
    this.#metrics.counter("countd_saturated_total").value += saturated;
    if (saturated > 0) {
      this.#events.report("warn", "counters clamped to 64 bits", { counters: saturated });
    }
    this.#events.report("info", "folded", {
      logs: recycled,
      records,
      keyspaces,
      duration_ms: Math.round(durationMs),
    });
  }

  /** The error of a worker that does not wait until the shortage is over. */
  error(data: string): BusyError {
    return new BusyError(
      this.#shortage === "space"
        ? `No space to fold the logs of ${data}: free some and try again`
        : `Too few descriptors, or too little memory, to fold the logs of ${data}: raise the limit ` +
          "(ulimit -n, LimitNOFILE=), or try again",
    );
  }

  /** Tells when a shortage begins, and when it ends (null). */
  lacks(shortage: Shortage | null): void {
    if (shortage === this.#shortage) return;
    this.#shortage = shortage;
    this.#metrics.gauge("countd_disk_full").value = shortage === "space" ? 1 : 0;
    if (shortage !== null) this.#events.report("warn", SENTENCES[shortage]);
    else this.#events.report("info", "folding goes on");
  }
}

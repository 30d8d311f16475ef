/** What operators learn of folds, by events and metrics. */

import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";

export class FoldReport {
  readonly #events: Events;
  readonly #metrics: Metrics;
  #isDiskFull = false;

  constructor({ events, metrics }: { readonly events: Events; readonly metrics: Metrics }) {
    this.#events = events;
    this.#metrics = metrics;
  }

  /** True while folding waits for space. */
  get isDiskFull(): boolean {
    return this.#isDiskFull;
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

  diskFull(isFull: boolean): void {
    if (isFull === this.#isDiskFull) return;
    this.#isDiskFull = isFull;
    this.#metrics.gauge("countd_disk_full").value = isFull ? 1 : 0;
    if (isFull) this.#events.report("warn", "disk full: folding waits until space returns");
    else this.#events.report("info", "folding goes on");
  }
}

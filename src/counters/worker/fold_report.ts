/** What operators learn of folds, by events, metrics and readiness. */

import type { Clock } from "../../base/clock.ts";
import { BusyError } from "../../base/errors.ts";
import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";
import { isDiskFull, isOutOfResources, isPassing } from "../../file/mod.ts";

/** Events that say why folding waits. */
const SENTENCES = {
  space: "disk full: folding waits until space returns",
  resources: "out of descriptors or memory: folding waits until there are enough",
  busy: "a file is in use by the system: folding waits until it can be used",
} as const;

/** What even a fold of one log lacks. */
export type Shortage = keyof typeof SENTENCES;

/** What a fold lacked that met this error; null if the error does not pass. */
export function shortageOf(error: unknown): Shortage | null {
  if (isDiskFull(error)) return "space";
  if (isOutOfResources(error)) return "resources";
  return isPassing(error) ? "busy" : null;
}

/** What a worker says that does not wait until the shortage is over. */
const ERRORS: Readonly<Record<Shortage, (data: string) => string>> = {
  space: (data) => `No space to fold the logs of ${data}: free some and try again`,
  resources: (data) =>
    `Too few descriptors, or too little memory, to fold the logs of ${data}: raise the limit ` +
    "(ulimit -n, LimitNOFILE=), or try again",
  busy: (data) =>
    `A file of ${data} is in use by the system, so its logs are not folded: try again`,
};

/** If sealed logs wait for so long and none is folded, the worker is not ready. */
const STUCK_MS = 10_000;
const STUCK = `sealed logs wait, and none was folded for ${STUCK_MS / 1000} s`;

export class FoldReport {
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #metrics: Metrics;
  #shortage: Shortage | null = null;
  /** Since when sealed logs wait and none is folded. */
  #waitingSinceMs: number | null = null;

  constructor({ clock, events, metrics }: {
    readonly clock: Clock;
    readonly events: Events;
    readonly metrics: Metrics;
  }) {
    this.#clock = clock;
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

  /** Called after each walk through the pool: whether it left sealed logs, and folded none. */
  waiting(isWaiting: boolean): void {
    const nowMs = this.#clock.nowMs();
    this.#waitingSinceMs = isWaiting ? this.#waitingSinceMs ?? nowMs : null;
    const isStuck = isWaiting && nowMs - this.#waitingSinceMs! >= STUCK_MS;
    this.#metrics.readiness.set("waiting", isStuck ? STUCK : null);
  }

  /** The error of a worker that does not wait until the shortage is over. */
  error(data: string): BusyError {
    return new BusyError(ERRORS[this.#shortage ?? "busy"](data));
  }

  /** Tells when a shortage begins, and when it ends (null). */
  lacks(shortage: Shortage | null): void {
    if (shortage === this.#shortage) return;
    this.#shortage = shortage;
    this.#metrics.gauge("countd_disk_full").value = shortage === "space" ? 1 : 0;
    this.#metrics.readiness.set(this, shortage === null ? null : SENTENCES[shortage]);
    if (shortage !== null) this.#events.report("warn", SENTENCES[shortage]);
    else this.#events.report("info", "folding goes on");
  }
}

/**
 * Keeps the metrics of the pool of commit logs for a daemon: slots by state, and how far folding is behind.
 * A timer updates them, so that a scrape finds them in memory.
 */
import type { Clock } from "../base/clock.ts";
import { CountdError } from "../base/errors.ts";
import type { Metrics } from "../base/metrics.ts";
import { DataDirectory, describeSelf } from "../counters/commitlog/mod.ts";
import { OsError, type Storage } from "../file/mod.ts";
import { PoolSurvey } from "./pool_survey.ts";

const EVERY_MS = 5000;

export class PoolMetrics implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #kept: Promise<void>;

  constructor(
    readonly storage: Storage,
    readonly data: string,
    readonly environment: { readonly metrics: Metrics; readonly clock: Clock },
  ) {
    this.#kept = this.#keep();
  }

  async #keep(): Promise<void> {
    const { clock } = this.environment;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const self = describeSelf(this.storage);
        using directory = DataDirectory.openOrNull(this.storage, this.data, {
          self,
          access: "read",
        });
        if (directory !== null) await this.#keepFrom(directory);
      } catch (error) {
        // The directory may be unreachable for a while.
        if (!(error instanceof OsError || error instanceof CountdError)) throw error;
      }
      await clock.sleep(EVERY_MS, signal);
    }
  }

  async #keepFrom(directory: DataDirectory): Promise<void> {
    const { metrics, clock } = this.environment;
    const { signal } = this.#stop;
    using survey = new PoolSurvey(directory, clock);
    while (!signal.aborted) {
      const { logs, backlog } = await survey.take();
      for (const [state, count] of Object.entries(logs)) {
        metrics.gauge("countd_log_slots", state).value = count;
      }
      metrics.gauge("countd_fold_lag_seconds").value = backlog.seconds;
      metrics.gauge("countd_fold_lag_records").value = backlog.records;
      await clock.sleep(EVERY_MS, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#kept;
  }
}

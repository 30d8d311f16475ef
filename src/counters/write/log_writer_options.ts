/** The options and the environment of a writer. */

import type { Clock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";

export type SyncMode = "always" | "interval" | "os";

export interface LogWriterOptions {
  readonly sync: SyncMode;
  readonly syncIntervalMs: number;
  /** Slots made at the first start, and the bytes that all slots together may take. */
  readonly logs: number;
  readonly backlogBytes?: number | undefined;
  /** Age at which a log is sealed although it is not full. */
  readonly sealAfterMs: number;
}

export interface Environment {
  readonly clock: Clock;
  readonly events: Events;
  readonly metrics: Metrics;
}

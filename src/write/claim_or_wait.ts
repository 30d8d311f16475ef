/**
 * Claiming a log when there may be none: waits for room and says so once. Nothing is dropped meanwhile,
 * because the sockets are not read.
 */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metrics } from "../base/metrics.ts";
import { type ActiveLog, isDiskFull, isOutOfResources, type LogPool } from "../commitlog/mod.ts";

/** How often a full pool is looked at again. */
const fullRetryMs = 50;

/** What a writer says, once, when it has to wait. */
const waits = {
  disk: "disk full: sockets are not read until space returns",
  backlog: "backlog full: sockets are not read until a worker has folded a log",
  growth: "another process is adding a log: sockets are not read until it is there",
  resources: "out of descriptors or memory: sockets are not read until a log can be opened",
} as const;

/**
 * A claimed log, as soon as there is one. Throws the signal's reason when it fires first, and
 * `DirectoryFailedError` where the directory is marked failed meanwhile: then nobody makes room any more.
 */
export async function claimOrWait(
  pool: LogPool,
  { clock, events, metrics, signal }: {
    readonly clock: Clock;
    readonly events: Events;
    readonly metrics: Metrics;
    readonly signal?: AbortSignal;
  },
): Promise<ActiveLog> {
  let said = false;
  for (;;) {
    let claimed: ActiveLog | keyof typeof waits;
    try {
      claimed = await pool.claim();
    } catch (error) {
      if (isDiskFull(error)) claimed = "disk";
      else if (isOutOfResources(error)) claimed = "resources";
      else throw error;
    }
    if (typeof claimed !== "string") {
      if (said) {
        metrics.gauge("countd_disk_full").value = 0;
        events.report("info", "writing goes on");
      }
      return claimed;
    }
    if (!said) {
      said = true;
      if (claimed === "disk") metrics.gauge("countd_disk_full").value = 1;
      events.report("warn", waits[claimed]);
    }
    signal?.throwIfAborted();
    pool.directory.refuseFailed();
    await clock.sleep(fullRetryMs, signal);
  }
}

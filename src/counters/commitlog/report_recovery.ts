/** How a recovery is told: one event line, one figure. */

import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Recovery } from "./recover_slot.ts";

/** quarantined: durable data is damaged · empty: nothing was in it · torn: a tail was cut · clean. */
export function kindOfRecovery(
  { corrupt, state, cutBytes }: Recovery,
): "quarantined" | "empty" | "torn" | "clean" {
  if (corrupt) return "quarantined";
  if (state === "free") return "empty";
  return cutBytes > 0 ? "torn" : "clean";
}

export function reportRecovery(
  recovery: Recovery,
  { events, metrics }: { readonly events: Events; readonly metrics: Metrics },
): void {
  metrics.counter("countd_recovered_total", kindOfRecovery(recovery)).value += 1;
  events.report(recovery.corrupt ? "error" : "info", "log recovered", {
    slot: recovery.slot,
    generation: recovery.generation,
    kept_records: recovery.keptRecords,
    kept_bytes: recovery.keptBytes,
    cut_bytes: recovery.cutBytes,
    ...(recovery.cutPath === null ? {} : { cut_path: recovery.cutPath }),
  });
}

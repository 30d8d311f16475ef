/** Reports a recovery: one event, one metric. */

import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Recovery } from "./recover_slot.ts";

/** quarantined: durable data is damaged · empty: no records · torn: a tail was left out · clean. */
export function kindOfRecovery(
  { isCorrupt, state, tornBytes }: Recovery,
): "quarantined" | "empty" | "torn" | "clean" {
  if (isCorrupt) return "quarantined";
  if (state === "free") return "empty";
  return tornBytes > 0 ? "torn" : "clean";
}

export function reportRecovery(
  recovery: Recovery,
  { events, metrics }: { readonly events: Events; readonly metrics: Metrics },
): void {
  metrics.counter("countd_recovered_total", kindOfRecovery(recovery)).value += 1;
  events.report(recovery.isCorrupt ? "error" : "info", "log recovered", {
    slot: recovery.slot,
    generation: recovery.generation,
    kept_records: recovery.keptRecords,
    kept_bytes: recovery.keptBytes,
    cut_bytes: recovery.tornBytes,
    ...(recovery.tornPath === null ? {} : { cut_path: recovery.tornPath }),
  });
}

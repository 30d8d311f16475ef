/** Disconnects peers that stop reading their answers: the memory for them would be held for ever. */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metric } from "../base/metrics.ts";

/** A peer that reads nothing for this long is disconnected. */
export const STALLED_MS = 30_000;
/** How often a server checks for such peers. */
export const STALLED_SWEEP_MS = 1000;

/** What the check has to know of a connection. */
export interface Answering {
  /** Since when the peer has read nothing of the bytes that wait for it; null if no bytes wait. */
  readonly writingSinceMs: number | null;
  close(): void;
}

/** Closes the connections whose peers have read nothing for `STALLED_MS`; counts and reports each. */
export function closeStalled(
  connections: Iterable<Answering>,
  { clock, events, stalled }: {
    readonly clock: Clock;
    readonly events: Events;
    readonly stalled: Metric;
  },
): void {
  const nowMs = clock.nowMs();
  for (const connection of connections) {
    const sinceMs = connection.writingSinceMs;
    if (sinceMs === null || nowMs - sinceMs < STALLED_MS) continue;
    stalled.value += 1;
    events.report("warn", "connection closed: the peer reads no answers", {
      stalled_ms: Math.round(nowMs - sinceMs),
    });
    connection.close();
  }
}

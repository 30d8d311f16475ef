/** Peers that ask and do not take the answers: they are cut off, or their output would wait for ever. */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metric } from "../base/metrics.ts";

/** A peer that takes nothing for this long is cut off. */
export const STALLED_MS = 30_000;
/** How often a server looks for such peers. */
export const STALLED_SWEEP_MS = 1000;

/** A connection as far as this is concerned. */
export interface Answering {
  /** Since when the peer has taken nothing of what waits for it; null where nothing does. */
  readonly writingSinceMs: number | null;
  close(): void;
}

/** Closes the connections whose peers have taken nothing for `STALLED_MS`; counts and reports each. */
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
    events.report("warn", "connection closed: it takes no answers", {
      stalled_ms: Math.round(nowMs - sinceMs),
    });
    connection.close();
  }
}

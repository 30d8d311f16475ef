/**
 * Notices when the event loop was held: a timer that comes late. It finds what no slice measures, such as the
 * handler of an HTTP request or a program that takes the processor away.
 */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metrics } from "../base/metrics.ts";
import { RareEvents } from "../base/rare_events.ts";
import { threadTimeMs } from "../../ffi/mod.ts";

const BEAT_MS = 100;
/** Events report a loop that was held for so long. */
const HELD_MS = 250;

/** Keeps `countd_event_loop_turn_seconds`, and reports a loop that was held, until it is disposed. */
export function watchLoop(
  { clock, events, metrics }: {
    readonly clock: Clock;
    readonly events: Events;
    readonly metrics: Metrics;
  },
): Disposable {
  const longest = metrics.gauge("countd_event_loop_turn_seconds");
  const rare = new RareEvents(events, clock);
  let beforeMs = clock.nowMs();
  let processorBeforeMs = threadTimeMs();
  const beat = setInterval(() => {
    const nowMs = clock.nowMs();
    const processorMs = threadTimeMs();
    const heldMs = nowMs - beforeMs - BEAT_MS;
    const workedMs = processorMs - processorBeforeMs;
    [beforeMs, processorBeforeMs] = [nowMs, processorMs];
    // Work that did not hold the loop is in the processor time as well.
    longest.value = Math.max(longest.value, Math.min(heldMs, workedMs) / 1000);
    rare.tellOmitted();
    if (heldMs < HELD_MS) return;
    rare.report("warn", "event loop was held: clients waited", {
      held_ms: Math.round(heldMs),
      processor_ms: Math.round(workedMs),
    });
  }, BEAT_MS);
  // The watch alone must not keep the process running.
  Deno.unrefTimer(beat);
  return { [Symbol.dispose]: () => clearInterval(beat) };
}

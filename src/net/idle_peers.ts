/**
 * Disconnects peers that do nothing: they would hold memory and a place for ever. Which ones depends on what
 * they leave undone: reading their answers, sending a first message, or anything at all.
 */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metric } from "../base/metrics.ts";

/** A peer that reads nothing for this long is disconnected. */
export const STALLED_MS = 30_000;
/** And one that has not sent its first whole message after this long. */
export const SILENT_MS = 30_000;
/** After so long without a byte a connection may be closed in favour of a new one. */
export const IDLE_MS = 60_000;
/** How often a server checks for such peers. */
export const SWEEP_MS = 1000;

/** What the check has to know of a connection. */
export interface Connected {
  readonly openedMs: number;
  /** Set once a whole message has arrived. */
  readonly hasSpoken: boolean;
  /** Since when the peer has read nothing of the bytes that wait for it; null if no bytes wait. */
  readonly writingSinceMs: number | null;
  close(): void;
}

/** Closes the connections of stalled and of silent peers; counts and reports each. */
export function closeUnused(
  connections: Iterable<Connected>,
  { clock, events, stalled, silent }: {
    readonly clock: Clock;
    readonly events: Events;
    readonly stalled: Metric;
    readonly silent: Metric;
  },
): void {
  const nowMs = clock.nowMs();
  for (const connection of connections) {
    const { writingSinceMs, openedMs, hasSpoken } = connection;
    if (writingSinceMs !== null && nowMs - writingSinceMs >= STALLED_MS) {
      stalled.value += 1;
      events.report("warn", "connection closed: the peer reads no answers", {
        stalled_ms: Math.round(nowMs - writingSinceMs),
      });
      connection.close();
    } else if (!hasSpoken && nowMs - openedMs >= SILENT_MS) {
      silent.value += 1;
      events.report("warn", "connection closed: no whole message arrived", {
        open_ms: Math.round(nowMs - openedMs),
      });
      connection.close();
    }
  }
}

/** What `longestIdle` has to know of a connection. */
export interface Reading {
  /** When the last bytes came or went. */
  readonly activeMs: number;
  /** True while nothing is done for the peer but to wait for its bytes. */
  readonly isWaiting: boolean;
}

/** The connection that was idle longest, if that is more than `IDLE_MS`; else null. */
export function longestIdle<Connection extends Reading>(
  connections: Iterable<Connection>,
  nowMs: number,
): Connection | null {
  let longest: Connection | null = null;
  for (const connection of connections) {
    const { activeMs, isWaiting } = connection;
    if (!isWaiting || nowMs - activeMs <= IDLE_MS) continue;
    if (longest === null || activeMs < longest.activeMs) longest = connection;
  }
  return longest;
}

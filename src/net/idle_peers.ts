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
/** And one that has not sent its first message after this long. */
const UNSPOKEN_MS = 2000;
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

/** What `toGiveUp` has to know of a connection. */
export interface Reading {
  readonly openedMs: number;
  readonly hasSpoken: boolean;
  /** When the last bytes came or went. */
  readonly activeMs: number;
  /** True while nothing is done for the peer but to wait for its bytes. */
  readonly isWaiting: boolean;
}

/**
 * The connection that gives its place to a new one: the oldest that has had time to send its first message and
 * has not, else the one that was idle longest, if that is more than `IDLE_MS`; else null.
 */
export function toGiveUp<Connection extends Reading>(
  connections: Iterable<Connection>,
  nowMs: number,
): Connection | null {
  let unspoken: Connection | null = null;
  let idle: Connection | null = null;
  for (const connection of connections) {
    const { openedMs, hasSpoken, activeMs, isWaiting } = connection;
    if (!isWaiting) continue;
    if (!hasSpoken) {
      if (nowMs - openedMs <= UNSPOKEN_MS) continue;
      if (unspoken === null || openedMs < unspoken.openedMs) unspoken = connection;
    } else if (nowMs - activeMs > IDLE_MS) {
      if (idle === null || activeMs < idle.activeMs) idle = connection;
    }
  }
  return unspoken ?? idle;
}

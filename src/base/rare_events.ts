/** Reports events that peers can cause: each at most once a second, so that no peer can fill the log. */

import type { Clock } from "./clock.ts";
import type { EventFields, EventLevel, Events } from "./events.ts";

const PAUSE_MS = 1000;

interface Reported {
  readonly atMs: number;
  /** How often the event happened since then without being reported. */
  omitted: number;
}

export class RareEvents implements Events {
  readonly #events: Events;
  readonly #clock: Clock;
  readonly #reported = new Map<string, Reported>();

  constructor(events: Events, clock: Clock) {
    this.#events = events;
    this.#clock = clock;
  }

  /** Reports the event, or counts it: the next report of it says in `omitted` how many were left out. */
  report(level: EventLevel, event: string, fields: EventFields = {}): void {
    const nowMs = this.#clock.nowMs();
    const last = this.#reported.get(event);
    if (last !== undefined && nowMs - last.atMs < PAUSE_MS) {
      last.omitted++;
      return;
    }
    const omitted = last?.omitted ?? 0;
    this.#reported.set(event, { atMs: nowMs, omitted: 0 });
    this.#events.report(level, event, omitted === 0 ? fields : { ...fields, omitted });
  }
}

/** Events that peers cause, so that no peer can fill the log: each at most once a second. */

import type { Clock } from "./clock.ts";
import type { EventFields, EventLevel, Events } from "./events.ts";

const PAUSE_MS = 1000;

interface Told {
  readonly atMs: number;
  /** Events since then that were not reported. */
  omitted: number;
}

export class RareEvents implements Events {
  readonly #events: Events;
  readonly #clock: Clock;
  readonly #told = new Map<string, Told>();

  constructor(events: Events, clock: Clock) {
    this.#events = events;
    this.#clock = clock;
  }

  /** Reports, or counts the event: the next line about it says in `omitted` how many there were. */
  report(level: EventLevel, event: string, fields: EventFields = {}): void {
    const nowMs = this.#clock.nowMs();
    const told = this.#told.get(event);
    if (told !== undefined && nowMs - told.atMs < PAUSE_MS) {
      told.omitted++;
      return;
    }
    const omitted = told?.omitted ?? 0;
    this.#told.set(event, { atMs: nowMs, omitted: 0 });
    this.#events.report(level, event, omitted === 0 ? fields : { ...fields, omitted });
  }
}

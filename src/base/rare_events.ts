/**
 * Reports events that peers can cause: each at most once a second, so that no peer can fill the log. Those that
 * are left out are counted, and told with the next report.
 */

import type { Clock } from "./clock.ts";
import type { EventFields, EventLevel, Events } from "./events.ts";

const PAUSE_MS = 1000;

interface Reported {
  readonly atMs: number;
  /** How often the event happened since then without being reported. */
  omitted: number;
  /** The last time that it happened. */
  readonly last: { level: EventLevel; fields: EventFields };
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
    const before = this.#reported.get(event);
    if (before !== undefined && nowMs - before.atMs < PAUSE_MS) {
      before.omitted++;
      before.last.level = level;
      before.last.fields = fields;
      return;
    }
    const omitted = before?.omitted ?? 0;
    this.#reported.set(event, { atMs: nowMs, omitted: 0, last: { level, fields } });
    this.#events.report(level, event, omitted === 0 ? fields : { ...fields, omitted });
  }

  /**
   * Reports what was left out more than a second ago, or at the end all of it. The owner calls it each second
   * and at its end: without it, the number is told only if the event happens again.
   */
  tellOmitted({ isEnd = false }: { readonly isEnd?: boolean } = {}): void {
    const nowMs = this.#clock.nowMs();
    for (const [event, { atMs, omitted, last }] of this.#reported) {
      if (omitted === 0 || (!isEnd && nowMs - atMs < PAUSE_MS)) continue;
      this.#reported.set(event, { atMs: nowMs, omitted: 0, last });
      // The last one is the one that is reported.
      const fields = omitted === 1 ? last.fields : { ...last.fields, omitted: omitted - 1 };
      this.#events.report(last.level, event, fields);
    }
  }
}

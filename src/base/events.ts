/**
 * What a daemon reports, one event a line on stderr. Verbs report through this interface; the command
 * line decides how a line looks (logfmt or JSON) and where it goes.
 */

/** How much an event matters: `info` is ordinary, `warn` needs attention, `error` needs an operator. */
export type EventLevel = "info" | "warn" | "error";

/** Facts of an event by name. Names of quantities end in their unit, such as `sizeBytes`. */
export type EventFields = Readonly<Record<string, string | number | bigint | boolean>>;

/** Receiver of events. */
export interface Events {
  /** Report one event. `event` is a short lower-case phrase, such as `log sealed`. */
  report(level: EventLevel, event: string, fields?: EventFields): void;
}

/** A receiver that drops every event. */
export const noEvents: Events = { report: () => {} };

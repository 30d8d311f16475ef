/**
 * What a daemon has to say, one event a line on stderr. Verbs report through this interface; the
 * command line decides how a line looks (logfmt or JSON) and where it goes.
 */

export type EventLevel = "info" | "warn" | "error";

export type EventFields = Readonly<Record<string, string | number | bigint | boolean>>;

export interface Events {
  /** `event` is a short lower-case phrase such as `log sealed`; fields are facts with units in names. */
  report(level: EventLevel, event: string, fields?: EventFields): void;
}

/** For callers that want silence. */
export const noEvents: Events = { report: () => {} };

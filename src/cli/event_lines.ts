/**
 * Writes events to stderr, one line each: logfmt (`time=… level=info event="log sealed" slot=3`) or
 * JSON. The output must write to a `MessageSink`, so that a blocked stderr does not stop a daemon.
 */
import type { Clock } from "../base/clock.ts";
import type { EventFields, EventLevel, Events } from "../base/events.ts";
import { toJson } from "../base/printable.ts";
import type { Output } from "./output.ts";

export const LOG_FORMATS = ["logfmt", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const COLOR_OF_LEVEL: Readonly<Record<EventLevel, string>> = {
  info: "",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};

export class EventLines implements Events {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #format: LogFormat;

  constructor(output: Output, clock: Clock, format: LogFormat) {
    this.#output = output;
    this.#clock = clock;
    this.#format = format;
  }

  report(level: EventLevel, event: string, fields: EventFields = {}): void {
    // Without control characters already, but for its colour.
    this.#output.write(this.line(level, event, fields) + "\n");
    this.#output.flush();
  }

  /** Returns the line that `report` writes, without the newline. */
  line(level: EventLevel, event: string, fields: EventFields = {}): string {
    const time = new Date(this.#clock.wallMs()).toISOString();
    return this.#format === "json"
      ? toJson({ time, level, event, ...fields })
      : this.#colored(level, logfmt({ time, level, event, ...fields }));
  }

  #colored(level: EventLevel, line: string): string {
    const color = COLOR_OF_LEVEL[level];
    return color !== "" && this.#output.hasColor ? `${color}${line}\x1b[0m` : line;
  }
}

/** `key=value` pairs; a value that is not one plain word is quoted as in JSON. */
export function logfmt(fields: EventFields): string {
  return Object.entries(fields).map(([key, value]) => {
    const text = String(value);
    return `${key}=${/^[^\s"=\p{Cc}\p{Bidi_C}]+$/u.test(text) ? text : toJson(text)}`;
  }).join(" ");
}

/**
 * Kinds of options and the values that they take. One definition says how the text is read, what the
 * help, the man page and the completions show, and which TypeScript type the verb gets.
 *
 * Options are keyed in camelCase by the verb (`logSize`); the command line spells the key in
 * kebab-case (`--log-size`), the environment in capitals (`COUNTD_LOG_SIZE`).
 */

import { INT64_MAX, INT64_MIN } from "../../base/int64.ts";
import { showAddress } from "../../base/printable.ts";

export { showAddress };

/** What a shell offers to complete a value. */
export type Completion = "nothing" | "file" | "directory" | readonly string[];

export interface Option<Value> {
  /** A flag takes no value and has no environment name. */
  readonly isFlag: boolean;
  readonly summary: string;
  /** The name of the value in help, such as `BYTES`. */
  readonly placeholder: string;
  readonly default: Value;
  /** The default as help shows it; null if there is none. */
  readonly defaultText: string | null;
  /** False if a value from the environment would surprise (one-off and destructive options). */
  readonly fromEnvironment: boolean;
  /** One letter, for the few options that are commonly known by it. */
  readonly short: string | null;
  readonly completion: Completion;
  /** Throws an Error whose message completes the sentence `Option --x …`. */
  parse(text: string): Value;
}

interface Common {
  readonly summary: string;
  readonly placeholder?: string;
  /** Help text for a default that the verb itself computes. */
  readonly defaultText?: string;
  /** Default true for options with a value. */
  readonly fromEnvironment?: boolean;
  readonly short?: string;
}

interface Bounds {
  /** Default 0. */
  readonly min?: number;
  readonly max?: number;
}

/** A kind of option. With a default, its value is never undefined. */
interface Kind<Settings, Value> {
  (settings: Settings & { readonly default: Value }): Option<Value>;
  (settings: Settings): Option<Value | undefined>;
}

/** How a kind looks in help and completions. */
interface Looks<Value> {
  readonly placeholder: string;
  readonly completion?: Completion;
  readonly show?: (value: Value) => string;
}

function kind<Settings extends Common, Value>(
  looks: (settings: Settings) => Looks<Value>,
  parse: (text: string, settings: Settings) => Value,
): Kind<Settings, Value> {
  function option(settings: Settings & { readonly default: Value }): Option<Value>;
  function option(settings: Settings): Option<Value | undefined>;
  function option(settings: Settings & { readonly default?: Value }): Option<Value | undefined> {
    const { summary, default: value, fromEnvironment = true, short = null } = settings;
    const { placeholder, completion = "nothing", show = String } = looks(settings);
    return {
      isFlag: false,
      summary,
      placeholder: settings.placeholder ?? placeholder,
      default: value,
      defaultText: settings.defaultText ?? (value === undefined ? null : show(value)),
      fromEnvironment,
      short,
      completion,
      parse: (text) => parse(text, settings),
    };
  }
  return option;
}

/** True when given. */
export function flag(summary: string): Option<boolean> {
  return {
    isFlag: true,
    summary,
    placeholder: "",
    default: false,
    defaultText: null,
    fromEnvironment: false,
    short: null,
    completion: "nothing",
    parse: () => true,
  };
}

/** Any text. */
export const text: Kind<Common, string> = kind(() => ({ placeholder: "TEXT" }), (value) => value);

/** A path that is not empty. */
export const path: Kind<Common & { readonly of: "file" | "directory" }, string> = kind(
  ({ of }) => ({ placeholder: of === "file" ? "FILE" : "DIR", completion: of }),
  filled,
);

/** Refuses a text that cannot be a path or a host. */
export function filled(value: string): string {
  if (value === "") throw new Error("must not be empty");
  if (value.includes("\0")) throw new Error("must not contain a NUL byte");
  return value;
}

/** The name or the address of a machine. */
export const host: Kind<Common, string> = kind(() => ({ placeholder: "HOST" }), filled);

interface Choice {
  <const Word extends string>(
    settings: Common & { readonly of: readonly Word[]; readonly default: Word },
  ): Option<Word>;
  <const Word extends string>(
    settings: Common & { readonly of: readonly Word[] },
  ): Option<Word | undefined>;
}

/** One of a few words. */
export const choice: Choice = kind<Common & { readonly of: readonly string[] }, string>(
  ({ of }) => ({ placeholder: of.join("|"), completion: of }),
  (value, { of }) => wordOf(value, of),
) as Choice;

/** The one of these words that a text is. */
export function wordOf<Word extends string>(text: string, of: readonly Word[]): Word {
  const word = of.find((known) => known === text);
  if (word === undefined) throw new Error(`must be one of ${of.join(", ")}, not "${text}"`);
  return word;
}

/** A whole number within bounds (both included). */
export const whole: Kind<Common & Bounds, number> = kind(
  () => ({ placeholder: "N" }),
  (value, bounds) => {
    if (!/^-?\d{1,16}$/.test(value)) throw new Error(`must be a whole number, not "${value}"`);
    return within(Number(value), bounds, String);
  },
);

/** A signed 64-bit number. */
export const int64: Kind<Common, bigint> = kind(() => ({ placeholder: "N" }), (value) => {
  if (!/^[-+]?\d{1,40}$/.test(value)) throw new Error(`must be a whole number, not "${value}"`);
  const number = BigInt(value.replace(/^\+/, ""));
  if (number < INT64_MIN || number > INT64_MAX) {
    throw new Error(`must be between ${INT64_MIN} and ${INT64_MAX}, not ${value}`);
  }
  return number;
});

const SIZE_UNITS = [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const;

/** A size in bytes: plain, or with KiB, MiB, GiB. */
export const size: Kind<Common & Bounds, number> = kind(
  () => ({ placeholder: "BYTES", show: showSize }),
  (value, bounds) => {
    const match = /^(\d{1,16})(KiB|MiB|GiB)?$/.exec(value);
    if (match === null) {
      throw new Error(`must be a size in bytes such as 65536, 64KiB or 16MiB, not "${value}"`);
    }
    const unit = SIZE_UNITS.find(([name]) => name === match[2])?.[1] ?? 1;
    return within(Number(match[1]) * unit, bounds, showSize);
  },
);

/** 16777216 as `16MiB`; a size that is not a multiple of a unit stays a plain number. */
export function showSize(bytes: number): string {
  const fits = SIZE_UNITS.find(([, unit]) => bytes >= unit && bytes % unit === 0);
  return fits === undefined ? String(bytes) : `${bytes / fits[1]}${fits[0]}`;
}

/** A time in milliseconds: plain, or with ms, s, m, h. */
export const duration: Kind<Common & Bounds, number> = kind(
  () => ({ placeholder: "MS", show: showDuration }),
  (value, bounds) => {
    const match = /^(\d{1,12})(ms|s|m|h)?$/.exec(value);
    if (match === null) {
      throw new Error(`must be a time in milliseconds such as 500, 500ms or 2s, not "${value}"`);
    }
    const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? "ms"] as number;
    return within(Number(match[1]) * unit, bounds, showDuration);
  },
);

export function showDuration(timeMs: number): string {
  return timeMs >= 1000 && timeMs % 1000 === 0 ? `${timeMs / 1000}s` : `${timeMs}ms`;
}

export interface Address {
  readonly hostname: string;
  readonly port: number;
}

/** `HOST:PORT`, `[V6]:PORT`, or `HOST` alone for the default port. */
export const address: Kind<Common & { readonly defaultPort: number }, Address> = kind(
  () => ({ placeholder: "HOST:PORT", show: showAddress }),
  (value, { defaultPort }) => {
    const match = /^(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?$/.exec(value);
    const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
    if (match === null || port < 1 || port > 65535) {
      throw new Error(`must be HOST:PORT with a port from 1 to 65535, not "${value}"`);
    }
    return { hostname: (match[1] ?? match[2]) as string, port };
  },
);

function within(value: number, bounds: Bounds, show: (value: number) => string): number {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
  if (value >= min && value <= max) return value;
  throw new Error(
    bounds.max === undefined
      ? `must be at least ${show(min)}, not ${show(value)}`
      : `must be between ${show(min)} and ${show(max)}, not ${show(value)}`,
  );
}

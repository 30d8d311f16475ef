/**
 * Kinds of options and the values that they take. One definition says how the text is read, what the
 * help, the man page and the completions show, and which TypeScript type the verb gets.
 *
 * Options are keyed in camelCase by the verb (`logSize`); the command line spells the key in
 * kebab-case (`--log-size`), the environment in capitals (`COUNTD_LOG_SIZE`).
 */

import { INT64_MAX, INT64_MIN } from "../../base/int64.ts";

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
  readonly min?: number;
  readonly max?: number;
}

type WithDefault<Settings, Value> = Settings & { readonly default: Value };

function option<Value>(
  settings: Common,
  kind: { placeholder: string; completion?: Completion; show?: (value: Value) => string },
  defaultValue: Value | undefined,
  parse: (text: string) => Value,
): Option<Value | undefined> {
  const show = kind.show ?? String;
  return {
    isFlag: false,
    summary: settings.summary,
    placeholder: settings.placeholder ?? kind.placeholder,
    default: defaultValue,
    defaultText: settings.defaultText ?? (defaultValue === undefined ? null : show(defaultValue)),
    fromEnvironment: settings.fromEnvironment ?? true,
    short: settings.short ?? null,
    completion: kind.completion ?? "nothing",
    parse,
  };
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
export function text(settings: WithDefault<Common, string>): Option<string>;
export function text(settings: Common): Option<string | undefined>;
export function text(settings: Common & { default?: string }): Option<string | undefined> {
  return option(settings, { placeholder: "TEXT" }, settings.default, (value) => value);
}

/** A path that is not empty. */
type PathSettings = Common & { readonly of: "file" | "directory" };
export function path(settings: WithDefault<PathSettings, string>): Option<string>;
export function path(settings: PathSettings): Option<string | undefined>;
export function path(settings: PathSettings & { default?: string }): Option<string | undefined> {
  const placeholder = settings.of === "file" ? "FILE" : "DIR";
  return option(settings, { placeholder, completion: settings.of }, settings.default, filled);
}

function filled(value: string): string {
  if (value === "") throw new Error("must not be empty");
  if (value.includes("\0")) throw new Error("must not contain a NUL byte");
  return value;
}

/** The name or the address of a machine. */
export function host(settings: WithDefault<Common, string>): Option<string>;
export function host(settings: Common & { default?: string }): Option<string | undefined> {
  return option(settings, { placeholder: "HOST" }, settings.default, filled);
}

/** One of a few words. */
type ChoiceSettings<Word extends string> = Common & { readonly of: readonly Word[] };
export function choice<const Word extends string>(
  settings: WithDefault<ChoiceSettings<Word>, Word>,
): Option<Word>;
export function choice<const Word extends string>(
  settings: ChoiceSettings<Word>,
): Option<Word | undefined>;
export function choice<const Word extends string>(
  settings: ChoiceSettings<Word> & { default?: Word },
): Option<Word | undefined> {
  const words = settings.of;
  const kind = { placeholder: words.join("|"), completion: words };
  return option<Word>(settings, kind, settings.default, (value) => {
    const word = words.find((known) => known === value);
    if (word === undefined) throw new Error(`must be one of ${words.join(", ")}, not "${value}"`);
    return word;
  });
}

/** A whole number within bounds (both included). */
export function whole(settings: WithDefault<Common & Bounds, number>): Option<number>;
export function whole(settings: Common & Bounds): Option<number | undefined>;
export function whole(
  settings: Common & Bounds & { default?: number },
): Option<number | undefined> {
  return option(settings, { placeholder: "N" }, settings.default, (value) => {
    if (!/^-?\d{1,16}$/.test(value)) throw new Error(`must be a whole number, not "${value}"`);
    return within(Number(value), settings, String);
  });
}

/** A signed 64-bit number. */
export function int64(settings: WithDefault<Common, bigint>): Option<bigint>;
export function int64(settings: Common): Option<bigint | undefined>;
export function int64(settings: Common & { default?: bigint }): Option<bigint | undefined> {
  return option(settings, { placeholder: "N" }, settings.default, (value) => {
    if (!/^[-+]?\d{1,40}$/.test(value)) throw new Error(`must be a whole number, not "${value}"`);
    const number = BigInt(value.replace(/^\+/, ""));
    if (number < INT64_MIN || number > INT64_MAX) {
      throw new Error(`must be between ${INT64_MIN} and ${INT64_MAX}, not ${value}`);
    }
    return number;
  });
}

const SIZE_UNITS = [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const;

/** A size in bytes: plain, or with KiB, MiB, GiB. */
export function size(settings: WithDefault<Common & Bounds, number>): Option<number>;
export function size(settings: Common & Bounds): Option<number | undefined>;
export function size(settings: Common & Bounds & { default?: number }): Option<number | undefined> {
  return option(
    settings,
    { placeholder: "BYTES", show: showSize },
    settings.default,
    (value) => {
      const match = /^(\d{1,16})(KiB|MiB|GiB)?$/.exec(value);
      if (match === null) {
        throw new Error(`must be a size in bytes such as 65536, 64KiB or 16MiB, not "${value}"`);
      }
      const unit = SIZE_UNITS.find(([name]) => name === match[2])?.[1] ?? 1;
      return within(Number(match[1]) * unit, settings, showSize);
    },
  );
}

/** 16777216 as `16MiB`; a size that is not a multiple of a unit stays a plain number. */
export function showSize(bytes: number): string {
  for (const [name, unit] of SIZE_UNITS) {
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit}${name}`;
  }
  return String(bytes);
}

/** A time in milliseconds: plain, or with ms, s, m, h. */
export function duration(settings: WithDefault<Common & Bounds, number>): Option<number>;
export function duration(settings: Common & Bounds): Option<number | undefined>;
export function duration(
  settings: Common & Bounds & { default?: number },
): Option<number | undefined> {
  return option(
    settings,
    { placeholder: "MS", show: showDuration },
    settings.default,
    (value) => {
      const match = /^(\d{1,12})(ms|s|m|h)?$/.exec(value);
      if (match === null) {
        throw new Error(`must be a time in milliseconds such as 500, 500ms or 2s, not "${value}"`);
      }
      const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? "ms"] as number;
      return within(Number(match[1]) * unit, settings, showDuration);
    },
  );
}

export function showDuration(timeMs: number): string {
  return timeMs >= 1000 && timeMs % 1000 === 0 ? `${timeMs / 1000}s` : `${timeMs}ms`;
}

export interface Address {
  readonly hostname: string;
  readonly port: number;
}

/** `HOST:PORT`, `[V6]:PORT`, or `HOST` alone for the default port. */
type AddressSettings = Common & { readonly defaultPort: number };
export function address(settings: WithDefault<AddressSettings, Address>): Option<Address>;
export function address(settings: AddressSettings): Option<Address | undefined>;
export function address(
  settings: AddressSettings & { default?: Address },
): Option<Address | undefined> {
  return option(
    settings,
    { placeholder: "HOST:PORT", show: showAddress },
    settings.default,
    (value) => {
      const match = /^(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?$/.exec(value);
      const port = match?.[3] === undefined ? settings.defaultPort : Number(match[3]);
      if (match === null || port < 1 || port > 65535) {
        throw new Error(`must be HOST:PORT with a port from 1 to 65535, not "${value}"`);
      }
      return { hostname: (match[1] ?? match[2]) as string, port };
    },
  );
}

export function showAddress(address: Address): string {
  return address.hostname.includes(":")
    ? `[${address.hostname}]:${address.port}`
    : `${address.hostname}:${address.port}`;
}

function within(value: number, bounds: Bounds, show: (value: number) => string): number {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
  if (value >= min && value <= max) return value;
  throw new Error(
    bounds.max === undefined
      ? `must be at least ${show(min)}, not ${show(value)}`
      : `must be between ${show(min)} and ${show(max)}, not ${show(value)}`,
  );
}

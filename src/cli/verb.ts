/**
 * Defines verbs. The file of a verb holds its options, arguments, examples and `run`. Only `run` imports
 * the room that does the work, so that `--help` and `--version` do not load it.
 *
 *     export const top = defineVerb({
 *       name: "top",
 *       summary: "show the largest counters of a keyspace",
 *       positionals: { keyspace: nameArgument("the keyspace") },
 *       options: { data: dataOption, length: whole({ summary: "rows", default: 10, min: 0 }) },
 *       answersJson: true,
 *       examples: examplesOf({ "countd top pages": "…", "countd top …": "…" }),
 *       async run({ options, positionals, stdout }) {
 *         const { Reader } = await import("../../counters/view/mod.ts");
 *         …
 *       },
 *     });
 *
 * A line in `table.ts` adds it to the program. A verb throws the classes of `base/errors.ts` or
 * `OsError`: `failure.ts` alone turns an error into an exit code and JSON.
 */
import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Storage } from "../file/mod.ts";
import type { ExitCode } from "./exit_codes.ts";
import type { Positional } from "./kit/argument.ts";
import type { Option } from "./kit/option.ts";
import type { Output } from "./output.ts";

export type OptionTable = Readonly<Record<string, Option<unknown>>>;
export type PositionalTable = Readonly<Record<string, Positional<unknown>>>;

/** The values of a table of options or positionals, under the same keys. */
export type ValuesOf<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Option<infer Value> ? Value
    : Table[Name] extends Positional<infer Value> ? Value
    : never;
};

export interface Context<
  Options extends OptionTable = OptionTable,
  Positionals extends PositionalTable = PositionalTable,
> {
  readonly options: ValuesOf<Options>;
  readonly positionals: ValuesOf<Positionals>;
  /** True if `--json` was given (only on verbs with `answersJson`). */
  readonly json: boolean;
  /** Data, and nothing but data. */
  readonly stdout: Output;
  /** Everything else. */
  readonly stderr: Output;
  readonly stdin: { readonly readable: ReadableStream<Uint8Array>; isTerminal(): boolean };
  /** The system's storage, opened at the first use. */
  readonly storage: Storage;
  readonly clock: Clock;
  /** Writes event lines to stderr, in the form of `--log-format` if the verb has this option. */
  readonly events: Events;
  /**
   * Fires at the first SIGTERM, SIGINT or SIGHUP. The first use of this property installs the
   * handlers; a verb that never uses it is ended by the signal.
   */
  readonly signal: AbortSignal;
  /** Writes a line to stderr, such as `write listening on HOST:PORT`. */
  announce(message: string): void;
  /**
   * Makes the last announcement at the start, and notifies systemd that the daemon serves. When
   * `signal` fires, systemd is notified that it stops.
   */
  ready(message: string): void;
  /** Lines that stderr did not take since the start. */
  readonly lostLines: number;
  /** Returns an environment variable, or undefined. */
  environment(name: string): string | undefined;
  /** All verbs, for completions, the man page and config. */
  readonly table: VerbTable;
  /** Returns the origin of the value of an option. */
  originOf(option: keyof Options): ValueOrigin;
}

export type ValueOrigin = "command line" | "environment" | "default";

export interface Example {
  /** The command line, without a prompt. */
  readonly command: string;
  readonly meaning: string;
}

export interface Verb<
  Options extends OptionTable = OptionTable,
  Positionals extends PositionalTable = PositionalTable,
> {
  readonly name: string;
  /** One line, without a final period. */
  readonly summary: string;
  /** More paragraphs for the help and the man page. */
  readonly details?: readonly string[];
  readonly positionals: Positionals;
  readonly options: Options;
  /** True if the verb can answer in JSON: adds `--json`. */
  readonly answersJson: boolean;
  readonly examples: readonly [Example, Example];
  /** Returns the exit code if it is not 0. */
  run(context: Context<Options, Positionals>): Promise<ExitCode | void>;
}

/** The two examples of a verb: command lines, and what each does. */
export function examplesOf(meanings: Readonly<Record<string, string>>): [Example, Example] {
  const examples = Object.entries(meanings).map(([command, meaning]) => ({ command, meaning }));
  return examples as [Example, Example];
}

/** A verb with verbs below it, such as `kv get`. */
export interface VerbGroup {
  readonly name: string;
  readonly summary: string;
  readonly details?: readonly string[];
  readonly verbs: readonly Verb[];
  /** The verb that runs if none is given, such as `serve` in `countd db`. */
  readonly defaultVerb?: string;
}

export type VerbTable = readonly (Verb | VerbGroup)[];

/**
 * Defines a verb, with the types of its own options and arguments for `run`. It has no arguments and no
 * `--json` unless the definition says so.
 */
export function defineVerb<
  const Options extends OptionTable,
  const Positionals extends PositionalTable = Record<never, never>,
>(
  verb:
    & Omit<Verb<Options, Positionals>, "positionals" | "answersJson">
    & Partial<Pick<Verb<Options, Positionals>, "positionals" | "answersJson">>,
): Verb {
  // The context is made from the verb's own tables, so it fits the narrower type of `run`.
  return { positionals: {}, answersJson: false, ...verb } as unknown as Verb;
}

export function isGroup(entry: Verb | VerbGroup): entry is VerbGroup {
  return "verbs" in entry;
}

/** Spells the key of an option for the command line: `logSize` → `log-size`. */
export function optionName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/** Spells the key of an option for the environment: `logSize` → `COUNTD_LOG_SIZE`. */
export function environmentName(key: string): string {
  return "COUNTD_" + optionName(key).replaceAll("-", "_").toUpperCase();
}

/** Spells the key of an argument for usage lines: `dir` → `DIR`. */
export function positionalName(key: string): string {
  return optionName(key).toUpperCase();
}

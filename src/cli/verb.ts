/**
 * What a verb is. A verb's file holds its options, arguments, examples and a `run` that imports the
 * room that does the work when it is called, so that `--help` and `--version` load none of it.
 *
 *     export const top = defineVerb({
 *       name: "top",
 *       summary: "show the largest counters of a keyspace",
 *       positionals: { keyspace: nameArgument("the keyspace") },
 *       options: { data: dataOption, length: whole({ summary: "rows", default: 10, min: 0 }) },
 *       answersJson: true,
 *       examples: [{ command: "countd top pages", meaning: "…" }, { … }],
 *       async run({ options, positionals, stdout }) {
 *         const { topRows } = await import("../../read/mod.ts");
 *         …
 *         return EXIT_CODES.ok;
 *       },
 *     });
 *
 * and a line in `table.ts`. Throw the classes of `base/errors.ts` (or `OsError`): the exit code and
 * the JSON of an error are made in one place, `exit_codes.ts`.
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
  /** True where `--json` was given (only on verbs that answer). */
  readonly json: boolean;
  /** Data, and nothing but data. */
  readonly stdout: Output;
  /** Everything else. */
  readonly stderr: Output;
  readonly stdin: { readonly readable: ReadableStream<Uint8Array>; readonly isTerminal: boolean };
  /** The system's storage, opened at the first use. */
  readonly storage: Storage;
  readonly clock: Clock;
  /** Event lines on stderr, in the form of `--log-format` where the verb has it. */
  readonly events: Events;
  /**
   * Fires at the first SIGTERM, SIGINT or SIGHUP. The handlers stand from the first use of this
   * property on; a verb that never asks for it ends at the signal.
   */
  readonly signal: AbortSignal;
  /** Says a line on stderr, such as `write listening on HOST:PORT`. */
  announce(message: string): void;
  /**
   * As `announce`, and tells systemd that the daemon serves now: its last announcement at the start.
   * When `signal` fires, systemd is told that it stops.
   */
  ready(message: string): void;
  /** An environment variable, or undefined. */
  environment(name: string): string | undefined;
  /** Every verb there is, for what is made from the table (completions, man page, config). */
  readonly table: VerbTable;
  /** Where the value of an option came from. */
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
  /** More for the help and the man page: paragraphs. */
  readonly details?: readonly string[];
  readonly positionals: Positionals;
  readonly options: Options;
  /** True where the verb answers in JSON on request: adds `--json`. */
  readonly answersJson: boolean;
  readonly examples: readonly [Example, Example];
  run(context: Context<Options, Positionals>): Promise<ExitCode>;
}

/** A verb with verbs below it, such as `kv get`. */
export interface VerbGroup {
  readonly name: string;
  readonly summary: string;
  readonly details?: readonly string[];
  readonly verbs: readonly Verb[];
  /** The verb that is meant where none is named, such as `serve` in `countd db`. */
  readonly defaultVerb?: string;
}

export type VerbTable = readonly (Verb | VerbGroup)[];

/** Gives `run` the types of the verb's own options and arguments. */
export function defineVerb<
  const Options extends OptionTable,
  const Positionals extends PositionalTable,
>(verb: Verb<Options, Positionals>): Verb {
  // The context is made from the verb's own tables, so it fits the narrower type of `run`.
  return verb as unknown as Verb;
}

export function isGroup(entry: Verb | VerbGroup): entry is VerbGroup {
  return "verbs" in entry;
}

/** `logSize` → `log-size`. */
export function optionName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/** `logSize` → `COUNTD_LOG_SIZE`. */
export function environmentName(key: string): string {
  return "COUNTD_" + optionName(key).replaceAll("-", "_").toUpperCase();
}

/** `outputDirectory` → `OUTPUT-DIRECTORY`, as arguments stand in usage lines. */
export function positionalName(key: string): string {
  return optionName(key).toUpperCase();
}

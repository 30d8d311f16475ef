/** Kinds of positional arguments: names, paths, numbers, choices. Options are in `option.ts`. */
import { choice, type Completion, int64 } from "./option.ts";

/** A positional argument: how its text is read, and whether it is required. */
export interface Positional<Value> {
  readonly summary: string;
  readonly presence: "required" | "optional";
  readonly completion: Completion;
  /** Throws an Error whose message completes the sentence `Argument X …`. */
  parse(text: string): Value;
  /** The value if the argument is left out. */
  readonly absent: Value;
}

const utf8 = new TextEncoder();

/**
 * A name as bytes (keyspace, key, value), checked by the code that uses it. It is always UTF-8: Deno
 * refuses other arguments before a program starts.
 */
export function nameArgument(summary: string): Positional<Uint8Array> {
  return required(summary, "nothing", (text) => utf8.encode(text));
}

export function optionalNameArgument(summary: string): Positional<Uint8Array | undefined> {
  return optional(summary, "nothing", (text) => utf8.encode(text));
}

export function pathArgument(summary: string, of: "file" | "directory"): Positional<string> {
  return required(summary, of, (text) => pathText(text));
}

export function optionalPathArgument(
  summary: string,
  of: "file" | "directory",
): Positional<string | undefined> {
  return optional(summary, of, (text) => pathText(text));
}

export function optionalInt64Argument(summary: string, absent: bigint): Positional<bigint> {
  const number = int64({ summary, default: absent });
  return {
    summary,
    presence: "optional",
    completion: "nothing",
    parse: (text) => number.parse(text),
    absent,
  };
}

export function choiceArgument<const Word extends string>(
  summary: string,
  of: readonly Word[],
): Positional<Word> {
  const words = choice({ summary, of, default: of[0] as Word });
  return required(summary, of, (text) => words.parse(text));
}

export function optionalChoiceArgument<const Word extends string>(
  summary: string,
  of: readonly Word[],
): Positional<Word | undefined> {
  const words = choice({ summary, of, default: of[0] as Word });
  return optional(summary, of, (text) => words.parse(text));
}

function required<Value>(
  summary: string,
  completion: Completion,
  parse: (text: string) => Value,
): Positional<Value> {
  // `absent` is never read: the parser refuses a command line without a required argument.
  return { summary, presence: "required", completion, parse, absent: undefined as Value };
}

function optional<Value>(
  summary: string,
  completion: Completion,
  parse: (text: string) => Value,
): Positional<Value | undefined> {
  return { summary, presence: "optional", completion, parse, absent: undefined };
}

function pathText(value: string): string {
  if (value === "") throw new Error("must not be empty");
  return value;
}

/** Kinds of positional arguments: names, paths, numbers, choices. Options are in `option.ts`. */
import { type Completion, filled, int64, wordOf } from "./option.ts";

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

/** The same as text. */
export function textArgument(summary: string): Positional<string> {
  return required(summary, "nothing", (text) => text);
}

export function pathArgument(summary: string, of: "file" | "directory"): Positional<string> {
  return required(summary, of, filled);
}

export function choiceArgument<const Word extends string>(
  summary: string,
  of: readonly Word[],
): Positional<Word> {
  return required(summary, of, (text) => wordOf(text, of));
}

export function optionalInt64Argument(summary: string, absent: bigint): Positional<bigint> {
  const { completion, parse } = int64({ summary, default: absent });
  return { summary, presence: "optional", completion, parse, absent };
}

function required<Value>(
  summary: string,
  completion: Completion,
  parse: (text: string) => Value,
): Positional<Value> {
  // `absent` is never read: the parser refuses a command line without a required argument.
  return { summary, presence: "required", completion, parse, absent: undefined as Value };
}

/** The argument, or undefined if it is left out. */
export function optional<Value>(positional: Positional<Value>): Positional<Value | undefined> {
  return { ...positional, presence: "optional", absent: undefined };
}

/** What a command of the shell is, and how its words are taken apart. */

import { UsageError } from "../base/errors.ts";
import type { Answer } from "./answer.ts";
import type { Session } from "./session.ts";
import type { Word } from "./words.ts";

/** What a word of a command is; Tab completes by it. */
export type ParameterKind =
  | "command"
  | "count"
  | "key"
  | "keyspace"
  | "counter"
  | "mode"
  | "pattern"
  | "switch"
  | "table"
  | "value";

export interface Parameter {
  /** As help shows it: `KEY`. */
  readonly name: string;
  readonly kind: ParameterKind;
  readonly isOptional?: boolean;
}

export interface Command {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** One line, without a final period. */
  readonly summary: string;
  /** Other words for it; not listed on their own. */
  readonly aliases?: readonly string[];
  run(session: Session, words: readonly Uint8Array[]): Answer | Promise<Answer>;
}

/** `incr KEYSPACE KEY [N]` */
export function usageOf({ name, parameters }: Command): string {
  const shown = parameters.map((parameter) =>
    parameter.isOptional ? `[${parameter.name}]` : parameter.name
  );
  return [name, ...shown].join(" ");
}

/** Throws `UsageError` where there are too few words or too many. */
export function checkWords(command: Command, words: readonly Word[]): void {
  const required = command.parameters.filter(({ isOptional }) => !isOptional).length;
  if (words.length >= required && words.length <= command.parameters.length) return;
  throw new UsageError(`Usage: ${usageOf(command)}`);
}

/** The command that a word names, in small or capital letters. */
export function findCommand(commands: readonly Command[], word: string): Command | null {
  const name = word.toLowerCase();
  return commands.find((command) => command.name === name || command.aliases?.includes(name)) ??
    null;
}

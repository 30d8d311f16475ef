/** Describes commands of the shell, finds them by name, and checks their number of words. */

import { UsageError } from "../base/errors.ts";
import type { Answer } from "./answer.ts";
import type { Session } from "./session.ts";
import type { Word } from "./words.ts";

/** The kind of a word of a command; Tab completes by it. */
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
  /** The name in help, such as `KEY`. */
  readonly name: string;
  readonly kind: ParameterKind;
  readonly isOptional?: boolean;
}

export interface Command {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** One line, without a final period. */
  readonly summary: string;
  /** Other names of the command; help does not list them. */
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

/** Throws `UsageError` if there are too few words or too many. */
export function checkWords(command: Command, words: readonly Word[]): void {
  const required = command.parameters.filter(({ isOptional }) => !isOptional).length;
  if (words.length >= required && words.length <= command.parameters.length) return;
  throw new UsageError(`Usage: ${usageOf(command)}`);
}

/** Finds the command with this name or alias, in small or capital letters. */
export function findCommand(commands: readonly Command[], word: string): Command | null {
  const name = word.toLowerCase();
  return commands.find((command) => command.name === name || command.aliases?.includes(name)) ??
    null;
}

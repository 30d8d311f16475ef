/** The table of verbs as a flat list, and the options of a verb, for code that goes through all of them. */
import { isGroup, type Verb, type VerbGroup, type VerbTable } from "../verb.ts";
import { flag, type Option } from "./option.ts";

export interface Command {
  /** What is typed after `countd`: `["top"]` or `["kv", "get"]`. */
  readonly path: readonly string[];
  readonly verb: Verb;
  readonly group: VerbGroup | null;
}

export function commandsOf(table: VerbTable): Command[] {
  return table.flatMap((entry): Command[] =>
    isGroup(entry)
      ? entry.verbs.map((verb) => ({ path: [entry.name, verb.name], verb, group: entry }))
      : [{ path: [entry.name], verb: entry, group: null }]
  );
}

/** The group's name and a space if the verb is in a group, else an empty text. */
export function prefixOf(command: Command): string {
  return command.group === null ? "" : command.group.name + " ";
}

/** The options of a verb by key, and the flags that the program adds. `help` says what `--help` does. */
export function optionsOf(verb: Verb, help = "show the help"): [string, Option<unknown>][] {
  const json = verb.answersJson ? { json: flag("answer with one JSON object") } : {};
  return Object.entries({ ...verb.options, ...json, help: flag(help) });
}

/** The options of a verb that the environment can set, by key. */
export function settableOptions({ options }: Verb): [string, Option<unknown>][] {
  return Object.entries(options).filter(([, { fromEnvironment }]) => fromEnvironment);
}

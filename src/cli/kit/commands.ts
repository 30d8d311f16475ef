/** The table of verbs as a flat list, for code that goes through all of them. */
import { isGroup, type Verb, type VerbGroup, type VerbTable } from "../verb.ts";

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

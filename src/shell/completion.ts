/** What Tab offers: commands, tables, keys, keyspaces, counters and the words of settings. */

import { textOfName } from "../base/printable.ts";
import { findCommand, type ParameterKind } from "./commands.ts";
import { MODES } from "./render.ts";
import type { Session } from "./session.ts";
import { commands } from "./shell_commands.ts";
import { completeWord, wordAtEnd } from "./words.ts";

/** More candidates would be too many to read. */
const CANDIDATES_MAX = 1000;
/** Limit for the names that are searched for candidates. */
const NAMES_MAX = 100_000;
/** Limit for the rows of a keyspace that are searched for names of counters. */
const COUNTERS_MAX = 1000;
/** Follows the names of a source that has more names than were searched. */
const MORE = Symbol("more");

export interface Completions {
  /** Texts that may replace the end of the line; each begins with it. */
  readonly candidates: readonly string[];
  /** The end of the line that they complete. */
  readonly typed: string;
  /** False if other names may match too: then the common beginning must not be inserted. */
  readonly isWhole: boolean;
}

/** Completes the end of a line. The list is empty if nothing matches, or after an error. */
export async function completeLine(session: Session, line: string): Promise<Completions> {
  const { before, start } = wordAtEnd(line);
  const typed = line.slice(start);
  const candidates: string[] = [];
  let isWhole = false;
  try {
    isWhole = await collect(candidates, typed, namesFor(session, before.map(({ bytes }) => bytes)));
  } catch {
    // An error message in the middle of typing would be worse than no candidates.
  }
  return { candidates: candidates.sort(), typed, isWhole };
}

/** Collects the names that match what is typed. Returns false if some names were not searched. */
async function collect(
  candidates: string[],
  typed: string,
  names: AsyncIterable<string | typeof MORE>,
): Promise<boolean> {
  let looked = 0;
  for await (const name of names) {
    const isEnough = candidates.length >= CANDIDATES_MAX || looked >= NAMES_MAX;
    if (name === MORE || isEnough) return false;
    looked++;
    const candidate = completeWord(typed, name);
    if (candidate !== null) candidates.push(candidate);
  }
  return true;
}

/** Yields the names that are possible after the words before. */
async function* namesFor(
  session: Session,
  before: readonly Uint8Array[],
): AsyncGenerator<string | typeof MORE> {
  const [first, ...rest] = before;
  if (first === undefined) return yield* commandNames();
  const command = findCommand(commands, textOfName(first) ?? "");
  const kind = command?.parameters[rest.length]?.kind;
  if (kind !== undefined) yield* namesOfKind(session, kind, rest[0]);
}

async function* namesOfKind(
  session: Session,
  kind: ParameterKind,
  keyspace: Uint8Array | undefined,
): AsyncGenerator<string | typeof MORE> {
  switch (kind) {
    case "command":
      return yield* commandNames();
    case "mode":
      return yield* MODES;
    case "switch":
      return yield* ["on", "off"];
    case "table":
      if (session.hasTables) yield* session.root.tables().filter((name) => name !== "");
      return;
    case "key":
    case "pattern":
      return yield* session.table.keys();
    case "keyspace":
      return yield* keyspaceNames(session);
    case "counter":
      return yield* counterNames(session, keyspace ?? new Uint8Array(0));
    case "count":
    case "value":
      return;
  }
}

function commandNames(): string[] {
  return commands.flatMap((
    { name, aliases = [] },
  ) => [name, ...aliases.filter((alias) => alias === "exit")]);
}

async function* keyspaceNames(session: Session): AsyncGenerator<string> {
  let after: Uint8Array = new Uint8Array(0);
  while (true) {
    const some = await session.read((reader) => reader.keyspaces(after));
    for (const { name } of some) yield* textNames([name]);
    const last = some.at(-1);
    if (last === undefined) return;
    after = last.name;
  }
}

async function* counterNames(
  session: Session,
  keyspace: Uint8Array,
): AsyncGenerator<string | typeof MORE> {
  const range = { offset: 0, length: COUNTERS_MAX };
  const { total, rows } = await session.read((reader) => reader.page(keyspace, range));
  yield* textNames(rows.map(({ key }) => key));
  if (rows.length < total) yield MORE;
}

/** Leaves out names that are not text: they can be typed with escapes, but not completed. */
function textNames(names: readonly Uint8Array[]): string[] {
  return names.map(textOfName).filter((name) => name !== null);
}

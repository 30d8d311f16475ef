/**
 * Puts a new pair of files, map and log, in the place of the old ones. Both are first written and synced
 * under hidden names beside their places; then two renames exchange them. A crash between the renames
 * leaves one new file in place and one under its hidden name; the next open completes the exchange.
 */

import { basename, dirname } from "node:path/posix";
import { isSameFile, removeOnError, type Storage } from "../../file/mod.ts";
import type { Entry } from "../format/entry.ts";
import { applyEntry, Journal } from "../engine/journal.ts";
import { EntryIndex } from "../engine/entry_index.ts";
import { type Identity, identityOf } from "../format/layout.ts";
import { LogFile } from "./log_file.ts";
import { LogSums } from "./log_sums.ts";
import { MapFile } from "./map_file.ts";
import { writeRegion } from "./snapshot.ts";
import { ValueMap } from "../engine/value_map.ts";

/** Paths of the two files of a database. */
export interface DatabasePaths {
  /** Path of the map. */
  readonly map: string;
  /** Path of the log. */
  readonly log: string;
}

export interface PairContent {
  /** The map, with the effect of all committed entries. */
  readonly map: ValueMap;
  readonly entries: readonly Entry[];
  /** Number of committed entries. */
  readonly committed: number;
}

/** The hidden name beside `path` under which its new file is written. */
export function newPath(path: string): string {
  const name = basename(path);
  return `${path.slice(0, path.length - name.length)}.${name}.new`;
}

/**
 * Writes a new pair and exchanges it with the old one. Old files with content are kept, under their name
 * with the suffix `keepAs`. Returns the names under which they are kept.
 */
export function publishPair(
  storage: Storage,
  paths: DatabasePaths,
  options: { readonly content: PairContent; readonly keepAs: "orig" | "damaged" | null },
): string[] {
  const identity = newIdentity();
  storage.reach("db.publish.write.before");
  writePair(storage, { map: newPath(paths.map), log: newPath(paths.log) }, {
    content: options.content,
    identity,
  });
  storage.reach("db.publish.write.after");
  const { keepAs } = options;
  const kept = keepAs === null
    ? []
    : [paths.map, paths.log].flatMap((path) => keepUnderSuffix(storage, path, keepAs));
  storage.reach("db.publish.keep.after");
  moveIntoPlace(storage, paths.log);
  storage.reach("db.publish.log.after");
  moveIntoPlace(storage, paths.map);
  storage.reach("db.publish.map.after");
  return kept;
}

/** A random identity, which no other database has. */
export function newIdentity(): Identity {
  return identityOf(crypto.getRandomValues(new BigUint64Array(1))[0] as bigint);
}

/** Renames a finished file from its hidden name to its final one. */
export function moveIntoPlace(storage: Storage, path: string): void {
  storage.rename(newPath(path), path);
  storage.syncDirectory(dirname(path));
}

/** Writes both files and makes them durable under the given names. On an error neither is left. */
export function writePair(
  storage: Storage,
  paths: DatabasePaths,
  options: { readonly content: PairContent; readonly identity: Identity },
): void {
  const both = [paths.map, paths.log];
  for (const path of both) if (storage.statusOrNull(path) !== null) storage.unlink(path);
  removeOnError(storage, both, () => writeBoth(storage, paths, options));
}

function writeBoth(
  storage: Storage,
  paths: DatabasePaths,
  options: { readonly content: PairContent; readonly identity: Identity },
): void {
  const { content, identity } = options;
  using logStored = storage.open(paths.log, { access: "write", create: "exclusive" });
  using log = LogFile.create(storage, logStored, {
    identity: identity.value,
    baseKeys: content.map.size,
    baseEntries: content.entries.length,
  });
  const journal = new Journal(log, {
    index: new EntryIndex(),
    sums: new LogSums(identity.seed),
    committed: 0,
  });
  for (const entry of content.entries) {
    journal.append(entry, { commits: journal.length < content.committed });
  }
  log.syncNow();
  log.markClosed();
  log.syncClosed();
  using mapStored = storage.open(paths.map, { access: "write", create: "exclusive" });
  using mapFile = MapFile.create(storage, mapStored, identity);
  const state = journal.state();
  const region = runToEnd(
    writeRegion(mapFile, { map: content.map, blocks: state.blocks, sums: state.sums }),
  );
  mapFile.syncNow();
  mapFile.storeHeader(region, state, state.tail);
  mapFile.syncNow();
  mapFile.release();
  mapStored.sync();
  for (const directory of new Set([dirname(paths.map), dirname(paths.log)])) {
    storage.syncDirectory(directory);
  }
}

function runToEnd<Result>(generator: Generator<void, Result, void>): Result {
  while (true) {
    const step = generator.next();
    if (step.done === true) return step.value;
  }
}

/** Links a second name to a file with content, so that replacing it loses nothing. */
function keepUnderSuffix(storage: Storage, path: string, suffix: string): string[] {
  const status = storage.statusOrNull(path);
  if (status === null || status.size === 0) return [];
  for (let number = 1;; number++) {
    const name = `${path}.${suffix}${number === 1 ? "" : `-${number}`}`;
    const taken = storage.statusOrNull(name);
    if (taken === null) storage.link(path, name);
    else if (!isSameFile(taken, status)) continue;
    storage.syncDirectory(dirname(path));
    return [name];
  }
}

/** The content of the original's files: the map as it is, with every entry applied to it. */
export function contentOfOriginal(
  values: Iterable<readonly [string, string]>,
  entries: readonly Entry[],
): PairContent {
  const map = new ValueMap();
  for (const [key, value] of values) map.set(key, value);
  for (const entry of entries) applyEntry(map, entry);
  return { map, entries, committed: entries.length };
}

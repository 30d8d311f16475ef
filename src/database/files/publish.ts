/**
 * Putting a new pair of files, map and log, in the place of what stands there: both are finished and
 * on the disk beside their places first, then take them by two renames. A crash between the two leaves
 * one file of the new pair and the other one beside its place; the next open finishes the exchange.
 */

import { directoryOf, isSameFile, type Storage } from "../../file/mod.ts";
import type { Entry } from "../format/entry.ts";
import { applyEntry, Journal } from "../engine/journal.ts";
import { EntryIndex } from "../engine/entry_index.ts";
import { removeOnError } from "./remove_on_error.ts";
import { type Identity, identityOf } from "../format/layout.ts";
import { LogFile } from "./log_file.ts";
import { LogSums } from "./log_sums.ts";
import { MapFile } from "./map_file.ts";
import { writeRegion } from "./snapshot.ts";
import { ValueMap } from "../engine/value_map.ts";

/** Where the two files of a database lie. */
export interface DatabasePaths {
  readonly map: string;
  readonly log: string;
}

export interface PairContent {
  /** The map, with all that the committed entries did. */
  readonly map: ValueMap;
  readonly entries: readonly Entry[];
  /** So many of the entries are committed. */
  readonly committed: number;
}

/** The hidden name beside `path` under which a file is made that is to get this name. */
export function newPath(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return `${path.slice(0, path.length - name.length)}.${name}.new`;
}

/**
 * Makes the pair and exchanges it. What has content is kept under its name with `keepAs` behind it.
 * Returns the names under which the old files are kept.
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

/** A number that no other database has. */
export function newIdentity(): Identity {
  return identityOf(crypto.getRandomValues(new BigUint64Array(1))[0] as bigint);
}

/** Gives a finished file its name. */
export function moveIntoPlace(storage: Storage, path: string): void {
  storage.rename(newPath(path), path);
  storage.syncDirectory(directoryOf(path));
}

/** Writes both files and makes them durable under the given names; one that fails leaves neither. */
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
  mapFile.storeHeader({
    identity: identity.value,
    generation: 1,
    regionOffset: region.offset,
    regionBytes: region.bytes,
    keys: region.keys,
    replayFrom: state.tail,
    logMin: state.tail,
    entries: state.entries,
    committed: state.committed,
  });
  mapFile.syncNow();
  mapFile.release();
  mapStored.sync();
  for (const directory of new Set([directoryOf(paths.map), directoryOf(paths.log)])) {
    storage.syncDirectory(directory);
  }
}

function runToEnd<Result>(generator: Generator<void, Result, void>): Result {
  while (true) {
    const step = generator.next();
    if (step.done === true) return step.value;
  }
}

/** A second name for a file with content, so that taking its place loses nothing. */
function keepUnderSuffix(storage: Storage, path: string, suffix: string): string[] {
  const status = storage.statusOrNull(path);
  if (status === null || status.size === 0) return [];
  for (let number = 1;; number++) {
    const name = `${path}.${suffix}${number === 1 ? "" : `-${number}`}`;
    const taken = storage.statusOrNull(name);
    if (taken === null) storage.link(path, name);
    else if (!isSameFile(taken, status)) continue;
    storage.syncDirectory(directoryOf(path));
    return [name];
  }
}

/** What the files of the original hold: the map as it stands, then every entry played over it. */
export function contentOfOriginal(
  pairs: Iterable<readonly [string, string]>,
  entries: readonly Entry[],
): PairContent {
  const map = new ValueMap();
  for (const [key, value] of pairs) map.set(key, value);
  for (const entry of entries) applyEntry(map, entry);
  return { map, entries, committed: entries.length };
}

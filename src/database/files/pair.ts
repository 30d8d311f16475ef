/**
 * Opens the pair of files of a database: locks them, and then makes them a pair if they are not one. An
 * exchange that a crash cut short is completed, files of the original are converted, and empty files are
 * filled. Files of any other content are left untouched.
 */

import { dirname } from "node:path/posix";
import { CorruptError, NotFoundError, UsageError } from "../../base/errors.ts";
import { hasCode, type Storage, type StoredFile, syncName } from "../../file/mod.ts";
import { damaged, DatabaseInUseError } from "../engine/errors.ts";
import { syncOrMarkFailed } from "./failed_mark.ts";
import { damagedRest, decodeLogHeader, decodeMapHeaders, looksLike } from "../format/header.ts";
import { LOG_MAGIC, MAP_MAGIC } from "../format/layout.ts";
import { parseFile, parseOriginalLog, parseOriginalMap } from "../convert/original_json.ts";
import { readHeadPage } from "./read_file.ts";
import { type LockedPair, lockPair, releaseOnError, relockPair } from "./pair_lock.ts";
import {
  contentOfOriginal,
  type DatabasePaths,
  moveIntoPlace,
  newPath,
  publishPair,
} from "./publish.ts";

export interface OpenPair {
  readonly map: StoredFile;
  readonly log: StoredFile;
  /** Names under which files of the original were kept. */
  readonly kept: readonly string[];
}

export interface PairOptions {
  /** False: it is an error if both files are missing, and nothing is made. */
  readonly create: boolean;
}

/**
 * Locks both files and makes them a pair. Throws `DatabaseInUseError` if another process has them,
 * `CorruptError` if they are neither a database nor files of the original, `NewerFormatError` or
 * `OldFormatError` if they are a database of another format, and `OsError` if the system refuses.
 */
export function openPair(
  storage: Storage,
  paths: DatabasePaths,
  options: PairOptions,
): OpenPair {
  if (!options.create && isMissing(storage, paths.map) && isMissing(storage, paths.log)) {
    throw new NotFoundError(`No database at ${paths.map} and ${paths.log}`);
  }
  const held = lockPair(storage, paths);
  const kept = releaseOnError(storage, held, () => makePair(storage, paths, held));
  if (kept === null) return { map: held.map, log: held.log, kept: [] };
  const renewed = relockPair(storage, paths, held);
  return releaseOnError(storage, renewed, () => {
    if (isPair(renewed)) return { map: renewed.map, log: renewed.log, kept };
    throw new DatabaseInUseError(`Another process changed ${paths.map}: try again`);
  });
}

function isMissing(storage: Storage, path: string): boolean {
  return storage.statusOrNull(path) === null;
}

/** What the first page of a file says about its content. */
export type PageKind =
  | { readonly kind: "ours"; readonly identity: bigint }
  /** Of our format, without a valid header (offset 0), or with a byte at `offset` that must be zero. */
  | { readonly kind: "damaged"; readonly offset: number }
  | { readonly kind: "other" };

/** Throws `NewerFormatError` or `OldFormatError` for a database of another format. */
export function pageKindOf(file: StoredFile, which: "map" | "log"): PageKind {
  const read = readHeadPage(file);
  const magic = which === "map" ? MAP_MAGIC : LOG_MAGIC;
  const other = which === "map" ? LOG_MAGIC : MAP_MAGIC;
  if (looksLike(read, other)) {
    throw new UsageError(
      `${file.path} is the ${which === "map" ? "log" : "map"} of a database: ` +
        "--db and --log are swapped",
    );
  }
  if (!looksLike(read, magic)) return { kind: "other" };
  const header = which === "map"
    ? decodeMapHeaders(read, file.path)[0]?.header
    : decodeLogHeader(read, file.path);
  const offset = header ? damagedRest(read, which) : 0;
  if (header && offset < 0) return { kind: "ours", identity: header.identity };
  return { kind: "damaged", offset };
}

/** What the first pages of both files say. */
interface PairKinds {
  readonly map: PageKind;
  readonly log: PageKind;
}

function kindsOf({ map, log }: Pick<LockedPair, "map" | "log">): PairKinds {
  return { map: pageKindOf(map, "map"), log: pageKindOf(log, "log") };
}

/** True if both files are of our format and carry the same identity. */
export function isPair(files: Pick<LockedPair, "map" | "log">): boolean {
  return arePair(kindsOf(files));
}

function arePair({ map, log }: PairKinds): boolean {
  return map.kind === "ours" && log.kind === "ours" && map.identity === log.identity;
}

/** Makes the files a pair. Null if they were one; else the names under which originals were kept. */
function makePair(storage: Storage, paths: DatabasePaths, held: LockedPair): string[] | null {
  const kinds = kindsOf(held);
  for (const which of ["map", "log"] as const) {
    const content = kinds[which];
    if (content.kind === "damaged") throw damagedHead(held[which].path, content.offset);
  }
  if (arePair(kinds)) {
    syncNames(storage, paths);
    for (const path of [paths.map, paths.log]) removeLeftover(storage, newPath(path));
    return null;
  }
  if (completeExchange(storage, paths, kinds)) return [];
  if (kinds.map.kind === "other" && kinds.log.kind === "other") {
    return convert(storage, paths, held);
  }
  throw notAPair(paths, kinds, held);
}

/** Completes an exchange that a crash cut short; false if there is none. */
export function completeInterrupted(
  storage: Storage,
  paths: DatabasePaths,
  held: LockedPair,
): boolean {
  const kinds = kindsOf(held);
  return !arePair(kinds) && completeExchange(storage, paths, kinds);
}

/** Does the second rename of an exchange, if a crash came between the two; false if there is none. */
function completeExchange(
  storage: Storage,
  paths: DatabasePaths,
  found: PairKinds,
): boolean {
  const which = missingHalf(storage, paths, found);
  if (which !== null) moveIntoPlace(storage, paths[which]);
  return which !== null;
}

/** The file of a new pair that is finished and does not have its name yet; null if there is none. */
function missingHalf(
  storage: Storage,
  paths: DatabasePaths,
  found: PairKinds,
): "map" | "log" | null {
  for (const which of ["map", "log"] as const) {
    const other = which === "map" ? found.log : found.map;
    if (other.kind !== "ours") continue;
    const path = newPath(paths[which]);
    if (isMissing(storage, path)) continue;
    using file = storage.open(path, { access: "read" });
    const content = pageKindOf(file, which);
    if (content.kind === "ours" && content.identity === other.identity) return which;
  }
  return null;
}

/**
 * True if the files are left by a first start or an exchange that was cut short. Such are files without
 * content, or one file of a new pair under its hidden name. The next start completes them. A missing
 * file is null. Throws `NewerFormatError` or `OldFormatError` for another format.
 */
export function isUnfinished(
  storage: Storage,
  paths: DatabasePaths,
  files: { readonly map: StoredFile | null; readonly log: StoredFile | null },
): boolean {
  const isEmpty = (file: StoredFile | null) => file === null || file.status().size === 0;
  if (isEmpty(files.map) && isEmpty(files.log)) return true;
  try {
    const kinds: PairKinds = {
      map: files.map === null ? { kind: "other" } : pageKindOf(files.map, "map"),
      log: files.log === null ? { kind: "other" } : pageKindOf(files.log, "log"),
    };
    return !arePair(kinds) && missingHalf(storage, paths, kinds) !== null;
  } catch (error) {
    // Swapped files are nothing that a start would complete.
    if (error instanceof UsageError) return false;
    throw error;
  }
}

/** Syncs the names: the process that renamed the files may have been killed before it did. */
function syncNames(storage: Storage, paths: DatabasePaths): void {
  const isOneDirectory = dirname(paths.map) === dirname(paths.log);
  syncOrMarkFailed(storage, paths.map, () => {
    syncName(storage, paths.map);
    if (!isOneDirectory) syncName(storage, paths.log);
  });
}

/** Converts files of the original, or empty ones, into a pair. */
function convert(storage: Storage, paths: DatabasePaths, held: LockedPair): string[] {
  const values = parseFile(held.map, parseOriginalMap, "open");
  const entries = parseFile(held.log, parseOriginalLog, "open");
  return publishPair(storage, paths, {
    content: contentOfOriginal(values, entries),
    keepAs: "orig",
  });
}

function removeLeftover(storage: Storage, path: string): void {
  try {
    storage.unlink(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

function damagedHead(path: string, offset: number): CorruptError {
  const isHeader = offset === 0;
  return damaged(
    path,
    offset,
    isHeader ? "neither copy of the header is whole" : "a byte that must be zero is not",
  );
}

function notAPair(
  paths: DatabasePaths,
  found: PairKinds,
  held: LockedPair,
): CorruptError {
  const { map, log } = found;
  let why = `${paths.map} and ${paths.log} belong to two different databases`;
  if (map.kind !== "ours") {
    why = `${paths.log} is the log of a database and ${paths.map} is ${stateOf(held.map)}`;
  } else if (log.kind !== "ours") {
    why = `${paths.map} is the map of a database and its log ${paths.log} is ${stateOf(held.log)}`;
  }
  return new CorruptError(`${why}; name the files that belong together, or run countd db repair`, {
    path: map.kind === "ours" ? paths.log : paths.map,
    offset: 0,
  });
}

function stateOf(file: StoredFile): string {
  return file.status().size === 0 ? "missing or empty" : "of another format";
}

/**
 * Opens the pair of files of a database: locks them, and then makes them a pair if they are not one. An
 * exchange that a crash cut short is completed, files of the original are converted, and empty files are
 * filled. Files of any other content are left untouched.
 */

import { dirname } from "node:path/posix";
import { CorruptError, FailedError, NotFoundError, UsageError } from "../../base/errors.ts";
import { hasCode, type Storage, type StoredFile, syncName } from "../../file/mod.ts";
import { DatabaseInUseError } from "../engine/errors.ts";
import { syncOrMarkFailed } from "./failed_mark.ts";
import { decodeLogHeader, decodeMapHeaders, looksLike, versionOf } from "../format/header.ts";
import { FORMAT_VERSION, HEAD_PAGE_BYTES, LOG_MAGIC, MAP_MAGIC } from "../format/layout.ts";
import { parseOriginalLog, parseOriginalMap, ShapeError } from "../convert/original_json.ts";
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
 * `CorruptError` if they are neither a database nor files of the original, and `OsError` if the system
 * refuses.
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
  /** Of our format, without a valid header. */
  | { readonly kind: "damaged" }
  | { readonly kind: "other" };

export function pageKindOf(file: StoredFile, which: "map" | "log"): PageKind {
  const page = new Uint8Array(HEAD_PAGE_BYTES);
  const read = page.subarray(0, file.read(page, 0));
  const magic = which === "map" ? MAP_MAGIC : LOG_MAGIC;
  const other = which === "map" ? LOG_MAGIC : MAP_MAGIC;
  if (looksLike(read, other)) {
    throw new UsageError(
      `${file.path} is the ${which === "map" ? "log" : "map"} of a database: ` +
        "--db and --log are swapped",
    );
  }
  if (!looksLike(read, magic)) return { kind: "other" };
  const version = versionOf(read, magic);
  const header = which === "map" ? decodeMapHeaders(read)[0]?.header : decodeLogHeader(read);
  if (header) return { kind: "ours", identity: header.identity };
  if (version !== null && version > FORMAT_VERSION) {
    throw new FailedError(
      `${file.path} has format ${version}, and this countd knows ${FORMAT_VERSION}: ` +
        "use a newer countd",
    );
  }
  return { kind: "damaged" };
}

function isPair(pair: LockedPair): boolean {
  const map = pageKindOf(pair.map, "map");
  const log = pageKindOf(pair.log, "log");
  return map.kind === "ours" && log.kind === "ours" && map.identity === log.identity;
}

/** Makes the files a pair. Null if they were one; else the names under which originals were kept. */
function makePair(storage: Storage, paths: DatabasePaths, held: LockedPair): string[] | null {
  const map = pageKindOf(held.map, "map");
  const log = pageKindOf(held.log, "log");
  for (const [content, file] of [[map, held.map], [log, held.log]] as const) {
    if (content.kind === "damaged") throw damagedHead(file.path);
  }
  if (map.kind === "ours" && log.kind === "ours" && map.identity === log.identity) {
    syncNames(storage, paths);
    for (const path of [paths.map, paths.log]) removeLeftover(storage, newPath(path));
    return null;
  }
  if (completeExchange(storage, paths, { map, log })) return [];
  if (map.kind === "other" && log.kind === "other") return convert(storage, paths, held);
  throw notAPair(paths, { map, log }, held);
}

/** Completes an exchange that a crash cut short; false if there is none. */
export function completeInterrupted(
  storage: Storage,
  paths: DatabasePaths,
  held: LockedPair,
): boolean {
  const map = pageKindOf(held.map, "map");
  const log = pageKindOf(held.log, "log");
  const isPair = map.kind === "ours" && log.kind === "ours" && map.identity === log.identity;
  return !isPair && completeExchange(storage, paths, { map, log });
}

/** Does the second rename of an exchange, if a crash came between the two; false if there is none. */
function completeExchange(
  storage: Storage,
  paths: DatabasePaths,
  found: { readonly map: PageKind; readonly log: PageKind },
): boolean {
  const which = missingHalf(storage, paths, found);
  if (which !== null) moveIntoPlace(storage, paths[which]);
  return which !== null;
}

/** The file of a new pair that is finished and does not have its name yet; null if there is none. */
function missingHalf(
  storage: Storage,
  paths: DatabasePaths,
  found: { readonly map: PageKind; readonly log: PageKind },
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
 * file is null.
 */
export function isUnfinished(
  storage: Storage,
  paths: DatabasePaths,
  files: { readonly map: StoredFile | null; readonly log: StoredFile | null },
): boolean {
  const isEmpty = (file: StoredFile | null) => file === null || file.status().size === 0;
  if (isEmpty(files.map) && isEmpty(files.log)) return true;
  try {
    const map: PageKind = files.map === null ? { kind: "other" } : pageKindOf(files.map, "map");
    const log: PageKind = files.log === null ? { kind: "other" } : pageKindOf(files.log, "log");
    const isPair = map.kind === "ours" && log.kind === "ours" && map.identity === log.identity;
    return !isPair && missingHalf(storage, paths, { map, log }) !== null;
  } catch (error) {
    // Swapped files, or files of a newer format, are nothing that a start would complete.
    if (error instanceof UsageError || error instanceof FailedError) return false;
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
  const values = parse(held.map, parseOriginalMap);
  const entries = parse(held.log, parseOriginalLog);
  return publishPair(storage, paths, {
    content: contentOfOriginal(values, entries),
    keepAs: "orig",
  });
}

function parse<Result>(file: StoredFile, parser: (bytes: Uint8Array) => Result): Result {
  const bytes = new Uint8Array(file.status().size);
  try {
    return parser(bytes.subarray(0, file.read(bytes, 0)));
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new CorruptError(
      `Cannot open ${file.path}: at byte ${error.offset} ${error.message}; ` +
        "nothing was changed; run countd db repair",
      { path: file.path, offset: error.offset },
      { cause: error },
    );
  }
}

function removeLeftover(storage: Storage, path: string): void {
  try {
    storage.unlink(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

function damagedHead(path: string): CorruptError {
  return new CorruptError(
    `Damage in ${path} at byte 0: neither copy of the header is whole; run countd db repair`,
    { path, offset: 0 },
  );
}

function notAPair(
  paths: DatabasePaths,
  found: { readonly map: PageKind; readonly log: PageKind },
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

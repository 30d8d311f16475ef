/**
 * `countd db repair`: makes a valid database out of a damaged one, or out of files of the original that
 * cannot be opened. The result is a copy, or replaces the damaged files, which are kept in any case.
 */

import { basename } from "node:path/posix";
import { CorruptError, FailedError, NotFoundError } from "../../base/errors.ts";
import { makeDirectories, nullIfCode, type Storage, type StoredFile } from "../../file/mod.ts";
import { removeFailedMark } from "../../file/checked_log/mod.ts";
import type { Entry } from "../format/entry.ts";
import { failedMarkPath } from "../files/failed_mark.ts";
import { decodeLogHeader, decodeMapHeaders, knownLength, looksLike } from "../format/header.ts";
import { applyEntry } from "../engine/journal.ts";
import { identityOf, LOG_MAGIC, MAP_MAGIC } from "../format/layout.ts";
import {
  endOfFirstValue,
  parseOriginalLog,
  parseOriginalMap,
  ShapeError,
} from "../convert/original_json.ts";
import { completeInterrupted } from "../files/pair.ts";
import {
  closePair,
  type LockedPair,
  lockPair,
  lockPairToRead,
  releaseOnError,
  relockPair,
  unlinkMade,
} from "../files/pair_lock.ts";
import {
  contentOfOriginal,
  type DatabasePaths,
  newIdentity,
  type PairContent,
  publishPair,
  writePair,
} from "../files/publish.ts";
import { mapToRead, readHeadPage } from "../files/read_file.ts";
import { type Damage, salvageLog, salvageSnapshot } from "./salvage.ts";
import { textOrNull } from "../format/text.ts";
import { ValueMap } from "../engine/value_map.ts";

/** Options of `repairDatabase`. */
export interface RepairOptions {
  /** Directory for the repaired pair; null puts it in the place of the damaged one. */
  readonly out: string | null;
}

/** The result of a repair. */
export interface RepairReport {
  /** Number of keys in the repaired map. */
  readonly keys: number;
  /** Number of entries in the repaired log. */
  readonly entries: number;
  /** Number of entries that are known to be missing. */
  readonly entriesLost: number;
  /** The parts of the files that could not be read. */
  readonly damages: readonly Damage[];
  /** What else was wrong, one sentence each. */
  readonly remarks: readonly string[];
  /** Paths of the repaired pair. */
  readonly written: DatabasePaths;
  /** Names under which the damaged files are kept; empty for a copy. */
  readonly kept: readonly string[];
}

interface Salvaged {
  readonly content: PairContent;
  readonly entriesLost: number;
  readonly damages: readonly Damage[];
  readonly remarks: readonly string[];
}

/**
 * Repairs a database as far as its bytes allow. With `out` the repaired pair goes into that directory.
 * With null it replaces the damaged pair, which is kept as NAME.damaged, and the failed mark is cleared.
 *
 * @throws {NotFoundError} If both files are missing.
 * @throws {CorruptError} If nothing can be repaired.
 * @throws {DatabaseInUseError} If another process has the files open, or checks them.
 * @throws {FailedError} If `out` has files of these names.
 * @throws {NewerFormatError} If only a newer countd can read the files. They are whole.
 * @throws {OldFormatError} If the files have format 1.
 * @throws {UsageError} If the two paths cannot be a pair.
 * @throws {OsError} If the system refuses.
 */
export function repairDatabase(
  storage: Storage,
  paths: DatabasePaths,
  options: RepairOptions,
): RepairReport {
  const isThere = [paths.map, paths.log].some((path) => storage.statusOrNull(path) !== null);
  if (!isThere) throw new NotFoundError(`No database at ${paths.map} and ${paths.log}`);
  const whole = () => lockWhole(storage, paths);
  // A copy can be made of what cannot be written to.
  const held = options.out === null
    ? whole()
    : nullIfCode(whole, "EROFS") ?? lockPairToRead(storage, paths);
  try {
    const salvaged = salvage(storage, paths, held);
    const { content, ...findings } = salvaged;
    const report = { keys: content.map.size, entries: content.entries.length, ...findings };
    if (options.out === null) {
      const kept = publishPair(storage, paths, { content, keepAs: "damaged" });
      removeFailedMark(storage, failedMarkPath(paths.map));
      return { ...report, written: paths, kept };
    }
    const written = copyPaths(storage, paths, options.out);
    writePair(storage, written, { content, identity: newIdentity() });
    return { ...report, written, kept: [] };
  } finally {
    unlinkMade(storage, held);
    closePair(held);
  }
}

/** Locks both files, and completes an exchange that a crash cut short. */
function lockWhole(storage: Storage, paths: DatabasePaths): LockedPair {
  const held = lockPair(storage, paths);
  if (!releaseOnError(storage, held, () => completeInterrupted(storage, paths, held))) return held;
  return relockPair(storage, paths, held);
}

function copyPaths(storage: Storage, paths: DatabasePaths, out: string): DatabasePaths {
  makeDirectories(storage, out, 0o700);
  const written = { map: `${out}/${basename(paths.map)}`, log: `${out}/${basename(paths.log)}` };
  for (const path of [written.map, written.log]) {
    if (storage.statusOrNull(path) !== null) {
      throw new FailedError(`${path} exists already: name another directory with --out`);
    }
  }
  return written;
}

function salvage(
  storage: Storage,
  paths: DatabasePaths,
  files: { readonly map: StoredFile; readonly log: StoredFile },
): Salvaged {
  const mapPage = readHeadPage(files.map);
  const logPage = readHeadPage(files.log);
  const headers = decodeMapHeaders(mapPage, paths.map).map(({ header }) => header);
  const [regionEnd, logEnd] = headers[0] === undefined
    ? [0, 0]
    : [headers[0].regionOffset + headers[0].regionBytes, knownLength(headers[0], logPage)];
  using map = mapToRead(storage, files.map, regionEnd);
  using log = mapToRead(storage, files.log, logEnd);
  const logHeader = decodeLogHeader(logPage, paths.log);
  const isOurs = looksLike(mapPage, MAP_MAGIC) || looksLike(logPage, LOG_MAGIC) ||
    headers.length > 0 || logHeader !== null;
  if (!isOurs) return salvageOriginal(paths, map.bytes, log.bytes);
  const identity = logHeader?.identity ?? headers[0]?.identity;
  if (identity === undefined) {
    throw new CorruptError(
      `Nothing can be repaired: no header of ${paths.map} and ${paths.log} is valid, and without ` +
        "one no checksum can be verified",
      { path: paths.log, offset: 0 },
    );
  }
  const remarks: string[] = [];
  if (headers.length === 0) remarks.push(`${paths.map} has no whole header`);
  if (logHeader === null) remarks.push(`${paths.log} has no whole header`);
  const [header] = headers;
  const fits = header?.identity === identity;
  if (header !== undefined && !fits) {
    remarks.push(`${paths.map} belongs to another database and was ignored`);
  }
  const { seed } = identityOf(identity);
  const values = new ValueMap();
  const snapshot = new ValueMap();
  const damages = header !== undefined && fits
    ? salvageSnapshot({ path: paths.map, bytes: map.bytes, seed }, header, snapshot)
    : [];
  // In order of time: the log before the snapshot, the snapshot, the log behind it.
  const replayFrom = header !== undefined && fits ? header.replayFrom : Infinity;
  const later: Entry[] = [];
  const found = salvageLog({ path: paths.log, bytes: log.bytes, seed }, (entry, offset) => {
    if (offset >= replayFrom) later.push(entry);
    else applyEntry(values, entry);
  });
  for (const [key, value] of snapshot.entries()) values.set(key, value);
  for (const entry of later) applyEntry(values, entry);
  if ((header === undefined || !fits) && (logHeader?.baseKeys ?? 1) > 0) {
    remarks.push("Keys with which the database was made, and which were not set later, are lost");
  }
  if (found.tornBytes > 0) remarks.push(`${found.tornBytes} bytes of an unfinished entry were cut`);
  return {
    content: {
      map: values,
      entries: known(found.entries),
      committed: known(found.entries.slice(0, found.committed)).length,
    },
    entriesLost: found.entries.length - known(found.entries).length,
    damages: [...damages, ...found.damages],
    remarks,
  };
}

function known(entries: readonly (Entry | undefined)[]): Entry[] {
  return entries.filter((entry) => entry !== undefined);
}

/** Takes the first JSON value of each file. Behind it the original left the end of an older value. */
function salvageOriginal(paths: DatabasePaths, map: Uint8Array, log: Uint8Array): Salvaged {
  const remarks: string[] = [];
  const damages: Damage[] = [];
  const first = <Result>(
    path: string,
    bytes: Uint8Array,
    parser: (bytes: Uint8Array) => Result,
  ) => {
    try {
      return parser(bytes);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const end = endOfFirstJson(bytes);
      if (end === null) throw unreadable(path, error);
      remarks.push(`${path}: the first JSON value was taken, the bytes behind it were ignored`);
      damages.push({ path, from: end, to: bytes.length });
      try {
        return parser(bytes.subarray(0, end));
      } catch (again) {
        throw again instanceof ShapeError ? unreadable(path, again) : again;
      }
    }
  };
  const values = first(paths.map, map, parseOriginalMap);
  const entries = first(paths.log, log, parseOriginalLog);
  return { content: contentOfOriginal(values, entries), entriesLost: 0, damages, remarks };
}

/** Number of bytes up to the end of the first JSON value; the bytes behind it need not be text. */
function endOfFirstJson(bytes: Uint8Array): number | null {
  const text = textOrNull(bytes) ?? new TextDecoder().decode(bytes);
  const end = endOfFirstValue(text);
  return end === null ? null : new TextEncoder().encode(text.slice(0, end)).length;
}

function unreadable(path: string, cause: ShapeError): CorruptError {
  return new CorruptError(`Nothing can be repaired: in ${path} ${cause.message}`, {
    path,
    offset: cause.offset,
  }, { cause });
}

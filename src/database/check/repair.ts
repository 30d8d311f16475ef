/**
 * `countd db repair`: makes a whole database out of a damaged one, or out of files of the original
 * that cannot be opened. Works on a copy unless it is told to take the place; the damaged files are
 * kept in any case.
 */

import { CorruptError, FailedError, NotFoundError } from "../../base/errors.ts";
import { makeDirectories, type Storage, type StoredFile } from "../../file/mod.ts";
import type { Entry } from "../format/entry.ts";
import { clearFailedMark } from "../files/failed_mark.ts";
import { decodeLogHeader, decodeMapHeaders, looksLike } from "../format/header.ts";
import { applyEntry } from "../engine/journal.ts";
import { HEAD_PAGE_BYTES, identityOf, LOG_MAGIC, MAP_MAGIC, roundUp } from "../format/layout.ts";
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
import { type Damage, salvageLog, salvageSnapshot } from "./salvage.ts";
import { textOrNull } from "../format/text.ts";
import { ValueMap } from "../engine/value_map.ts";

export interface RepairOptions {
  /** A directory for the repaired pair; null puts it in the place of the damaged one. */
  readonly out: string | null;
}

export interface RepairReport {
  readonly keys: number;
  readonly entries: number;
  /** Entries whose numbers are known and whose content is not. */
  readonly entriesLost: number;
  readonly damages: readonly Damage[];
  /** What else was not as it should be, in sentences. */
  readonly remarks: readonly string[];
  /** Where the repaired pair lies. */
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
 * Throws `NotFoundError` where there are no files, `CorruptError` where nothing can be made of them,
 * `DatabaseInUseError` where somebody has them open.
 */
export function repairDatabase(
  storage: Storage,
  paths: DatabasePaths,
  options: RepairOptions,
): RepairReport {
  const isThere = [paths.map, paths.log].some((path) => storage.statusOrNull(path) !== null);
  if (!isThere) throw new NotFoundError(`No database at ${paths.map} and ${paths.log}`);
  const held = lockWhole(storage, paths);
  try {
    const salvaged = salvage(storage, paths, held);
    const { content, ...told } = salvaged;
    const figures = { keys: content.map.size, entries: content.entries.length, ...told };
    if (options.out === null) {
      const kept = publishPair(storage, paths, { content, keepAs: "damaged" });
      clearFailedMark(storage, paths.map);
      return { ...figures, written: paths, kept };
    }
    const written = copyPaths(storage, paths, options.out);
    writePair(storage, written, { content, identity: newIdentity() });
    return { ...figures, written, kept: [] };
  } finally {
    unlinkMade(storage, held);
    closePair(held);
  }
}

/** Both files locked, after an exchange that a crash cut short has been finished. */
function lockWhole(storage: Storage, paths: DatabasePaths): LockedPair {
  const held = lockPair(storage, paths);
  if (!releaseOnError(storage, held, () => completeInterrupted(storage, paths, held))) return held;
  return relockPair(storage, paths, held);
}

function copyPaths(storage: Storage, paths: DatabasePaths, out: string): DatabasePaths {
  makeDirectories(storage, out, 0o700);
  const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  const written = { map: `${out}/${nameOf(paths.map)}`, log: `${out}/${nameOf(paths.log)}` };
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
  using map = mapWhole(storage, files.map);
  using log = mapWhole(storage, files.log);
  const mapPage = map.bytes.subarray(0, HEAD_PAGE_BYTES);
  const logPage = log.bytes.subarray(0, HEAD_PAGE_BYTES);
  const headers = decodeMapHeaders(mapPage).map(({ header }) => header);
  const logHeader = decodeLogHeader(logPage);
  const isOurs = looksLike(mapPage, MAP_MAGIC) || looksLike(logPage, LOG_MAGIC) ||
    headers.length > 0 || logHeader !== null;
  if (!isOurs) return salvageOriginal(paths, map.bytes, log.bytes);
  const identity = logHeader?.identity ?? headers[0]?.identity;
  if (identity === undefined) {
    throw new CorruptError(
      `Nothing can be repaired: no header of ${paths.map} and ${paths.log} is whole, and without ` +
        "one no checksum can be proven",
      { path: paths.log, offset: 0 },
    );
  }
  const remarks: string[] = [];
  if (headers.length === 0) remarks.push(`${paths.map} has no whole header`);
  if (logHeader === null) remarks.push(`${paths.log} has no whole header`);
  const [header] = headers;
  const fits = header?.identity === identity;
  if (header !== undefined && !fits) {
    remarks.push(`${paths.map} belongs to another database and was left out`);
  }
  const { seed } = identityOf(identity);
  const values = new ValueMap();
  const snapshot = new ValueMap();
  const damages = header !== undefined && fits
    ? salvageSnapshot({ path: paths.map, bytes: map.bytes, seed }, header, snapshot)
    : [];
  // In the order of time: the log before the snapshot, the snapshot, the log behind it.
  const replayFrom = header !== undefined && fits ? header.replayFrom : Infinity;
  const later: Entry[] = [];
  const found = salvageLog({ path: paths.log, bytes: log.bytes, seed }, (entry, offset) => {
    if (offset >= replayFrom) later.push(entry);
    else applyEntry(values, entry);
  });
  for (const [key, value] of snapshot.entries()) values.set(key, value);
  for (const entry of later) applyEntry(values, entry);
  if ((header === undefined || !fits) && (logHeader?.baseKeys ?? 1) > 0) {
    remarks.push("Keys with which the database was made, and which were never set, are lost");
  }
  if (found.tornBytes > 0) remarks.push(`${found.tornBytes} bytes of an unfinished entry were cut`);
  return {
    content: {
      map: values,
      entries: found.entries.filter((entry) => entry !== undefined),
      committed: countKnown(found.entries.slice(0, found.committed)),
    },
    entriesLost: found.entries.length - countKnown(found.entries),
    damages: [...damages, ...found.damages],
    remarks,
  };
}

function countKnown(entries: readonly (Entry | undefined)[]): number {
  let count = 0;
  // `filter` would pass over holes, which are lost entries as well.
  for (let index = 0; index < entries.length; index++) if (entries[index] !== undefined) count++;
  return count;
}

/** The first JSON value of each file; what the original left behind it is the end of an older one. */
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
      remarks.push(`${path}: the first JSON value was taken, the bytes behind it were left out`);
      damages.push({ path, from: end, to: bytes.length });
      try {
        return parser(bytes.subarray(0, end));
      } catch (again) {
        throw again instanceof ShapeError ? unreadable(path, again) : again;
      }
    }
  };
  const pairs = first(paths.map, map, parseOriginalMap);
  const entries = first(paths.log, log, parseOriginalLog);
  return { content: contentOfOriginal(pairs, entries), entriesLost: 0, damages, remarks };
}

/** Bytes up to the end of the first JSON value; what follows need not be text. */
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

/** The whole file as bytes; an empty file is no mapping. */
function mapWhole(storage: Storage, file: StoredFile): Disposable & { bytes: Uint8Array } {
  const { size } = file.status();
  if (size === 0) return { bytes: new Uint8Array(0), [Symbol.dispose]: () => {} };
  const mapping = file.map(roundUp(size, storage.pageSize), "read");
  return { bytes: mapping.bytes.subarray(0, size), [Symbol.dispose]: () => mapping.release() };
}

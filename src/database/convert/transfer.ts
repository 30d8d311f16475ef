/** `countd db export` and `countd db import`: write and read the two JSON files of the original. */

import { dirname } from "node:path/posix";
import { FailedError, NotFoundError, RefusedError } from "../../base/errors.ts";
import {
  makeDirectories,
  publishNewFile,
  removeOnError,
  type Storage,
  writeText,
} from "../../file/mod.ts";
import type { DatabaseContent } from "../engine/reading.ts";
import { SET_COMMAND } from "../format/entry.ts";
import { requireNotFailed } from "../files/failed_mark.ts";
import { decodeMapHeaders } from "../format/header.ts";
import { HEAD_PAGE_BYTES } from "../format/layout.ts";
import {
  originalLog,
  originalMap,
  parseFile,
  parseOriginalLog,
  parseOriginalMap,
} from "./original_json.ts";
import { isPair } from "../files/pair.ts";
import { readHeadPage } from "../files/read_file.ts";
import { closePair, type LockedPair, lockPair, unlinkMade } from "../files/pair_lock.ts";
import { contentOfOriginal, type DatabasePaths, newPath, publishPair } from "../files/publish.ts";

/** The names of the original's files in a directory: `db.json` and `log.json`. */
export const originalNames = { map: "db.json", log: "log.json" } as const;

/** What an export or an import has carried over. */
export interface Transferred {
  /** Number of keys in the map. */
  readonly keys: number;
  /** Number of entries in the log. */
  readonly entries: number;
}

/**
 * Writes `db.json` and `log.json` of the original's shape into a directory, which is made with mode 0700
 * if it is missing. On an error no new file is left.
 *
 * @throws {RefusedError} If an import of these files would make another database.
 * @throws {FailedError} If either file exists already, or would be too long for an import.
 * @throws {OsError} If the system refuses.
 */
export function exportDatabase(
  db: DatabaseContent,
  storage: Storage,
  directory: string,
): Transferred {
  refuseLoss(db);
  makeDirectories(storage, directory, 0o700);
  const map = `${directory}/${originalNames.map}`;
  const log = `${directory}/${originalNames.log}`;
  for (const path of [map, log]) {
    if (storage.statusOrNull(path) !== null) {
      throw new FailedError(`${path} exists already: export into another directory`);
    }
  }
  const { entries } = db.log;
  makeText(storage, map, originalMap(db.entries()));
  // One file alone would only make the next try fail.
  removeOnError(storage, [map], () => {
    makeText(storage, log, originalLog(entries.range(0, entries.length)));
  });
  return { keys: db.size, entries: entries.length };
}

/**
 * The files of the original have no place for the number of committed entries, and an import applies every
 * entry to the map. So the database must be one in which all are committed and have made its map.
 */
function refuseLoss(db: DatabaseContent): void {
  const { entries, committed } = db.log;
  const { length } = entries;
  const why = "and db.json and log.json cannot say so: an import would make another database";
  if (committed < length) {
    throw new RefusedError(
      `Entries ${committed} to ${
        length - 1
      } of the log are not committed, ${why}; commit or remove them`,
    );
  }
  const last = new Map<string, string>();
  for (const { command, key, value } of entries.range(0, length)) {
    if (command === SET_COMMAND) last.set(key, value);
  }
  for (const [key, value] of db.entries()) {
    if ((last.get(key) ?? value) === value) continue;
    throw new RefusedError(
      `Key ${
        JSON.stringify(key)
      } has a value whose entry was removed from the log later, ${why}; ` +
        "set the key again",
    );
  }
}

function makeText(storage: Storage, path: string, pieces: Iterable<string>): void {
  const temporaryPath = newPath(path);
  if (storage.statusOrNull(temporaryPath) !== null) storage.unlink(temporaryPath);
  using file = storage.open(temporaryPath, { access: "write", create: "exclusive" });
  removeOnError(storage, [temporaryPath], () => {
    writeText(file, pieces, { path, advice: "use countd backup" });
    publishNewFile(storage, file, { temporaryPath, path });
  });
}

/**
 * Makes a database out of `db.json` and `log.json` in a directory; one of them may be missing. On an
 * error the database is as it was.
 *
 * @throws {NotFoundError} If both are missing.
 * @throws {CorruptError} If a file is not of the original's shape, or the database is marked failed.
 * @throws {FailedError} If the database holds data.
 * @throws {NewerFormatError} If only a newer countd can read the database.
 * @throws {OldFormatError} If the database has format 1.
 * @throws {DatabaseInUseError} If another process has the database open, or checks it.
 * @throws {UsageError} If the two paths cannot be a pair.
 * @throws {OsError} If the system refuses.
 */
export function importDatabase(
  storage: Storage,
  paths: DatabasePaths,
  directory: string,
): Transferred {
  const values = parseOrNull(storage, `${directory}/${originalNames.map}`, parseOriginalMap);
  const entries = parseOrNull(storage, `${directory}/${originalNames.log}`, parseOriginalLog);
  if (values === null && entries === null) {
    throw new NotFoundError(
      `No ${originalNames.map} and no ${originalNames.log} in ${directory}`,
    );
  }
  const content = contentOfOriginal(values ?? [], entries ?? []);
  makeDirectories(storage, dirname(paths.map), 0o700);
  makeDirectories(storage, dirname(paths.log), 0o700);
  const held = lockPair(storage, paths);
  try {
    requireNotFailed(storage, paths.map);
    if (!isEmpty(held)) {
      throw new FailedError(
        `The database ${paths.map} holds data, or was not closed: import into a new one`,
      );
    }
    publishPair(storage, paths, { content, keepAs: null });
    return { keys: content.map.size, entries: content.entries.length };
  } finally {
    unlinkMade(storage, held);
    closePair(held);
  }
}

/** True for empty files, and for a database that was made and closed without any data. */
function isEmpty(pair: LockedPair): boolean {
  const sizes = [pair.map.status().size, pair.log.status().size];
  if (sizes[0] === 0 && sizes[1] === 0) return true;
  if (!isPair(pair)) return false;
  const newest = decodeMapHeaders(readHeadPage(pair.map), pair.map.path)[0]?.header;
  return newest?.keys === 0 && sizes[1] === HEAD_PAGE_BYTES;
}

function parseOrNull<Result>(
  storage: Storage,
  path: string,
  parser: (bytes: Uint8Array) => Result,
): Result | null {
  if (storage.statusOrNull(path) === null) return null;
  using file = storage.open(path, { access: "read" });
  return parseFile(file, parser, "import");
}

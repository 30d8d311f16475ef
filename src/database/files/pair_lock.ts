/**
 * The locks of the two files. The process that has locked the first byte of both, exclusively, is the
 * owner of the database. Checks share a lock on that byte, and keep an owner away until they end.
 *
 * Invariant: a name is unlinked only while the file that it leads to is held, and only if that file was
 * made for the lock.
 */

import { FailedError, UsageError } from "../../base/errors.ts";
import { undoOnError } from "../../base/undo_on_error.ts";
import { leadsTo, type Storage, type StoredFile } from "../../file/mod.ts";
import { DatabaseInUseError } from "../engine/errors.ts";
import { failedMarkPath } from "./failed_mark.ts";
import { type DatabasePaths, newPath } from "./publish.ts";

/** The byte that the owner of a file locks. */
const LOCK_START = 0;
const LOCK_LENGTH = 1;

export interface LockedPair {
  readonly map: StoredFile;
  readonly log: StoredFile;
  /** The files that did not exist before. */
  readonly made: readonly StoredFile[];
}

/** Opens and locks both files, the map first. Missing files are made, empty. */
export function lockPair(storage: Storage, paths: DatabasePaths): LockedPair {
  if (paths.map === paths.log) {
    throw new UsageError(`The database and its log are both ${paths.map}: name two files`);
  }
  const made: StoredFile[] = [];
  const map = lockFile(storage, paths.map, made);
  let log: StoredFile | null = null;
  try {
    if (leadsTo(storage, paths.log, map.status())) {
      throw new UsageError(`${paths.map} and ${paths.log} are the same file: name two files`);
    }
    refuseTaken(storage, map, [newPath(paths.log)]);
    log = lockFile(storage, paths.log, made);
    refuseTaken(storage, log, [newPath(paths.map), failedMarkPath(paths.map)]);
    return { map, log, made };
  } catch (error) {
    unlinkMade(storage, { made });
    log?.close();
    map.close();
    throw error;
  }
}

/** Throws `UsageError` if a file has one of the names that the database needs for itself. */
function refuseTaken(storage: Storage, file: StoredFile, names: readonly string[]): void {
  const taken = names.find((name) => leadsTo(storage, name, file.status()));
  if (taken === undefined) return;
  throw new UsageError(
    `${taken} cannot be a file of this database, which uses that name itself: give another name`,
  );
}

function lockFile(storage: Storage, path: string, made: StoredFile[]): StoredFile {
  while (true) {
    const isNew = storage.statusOrNull(path) === null;
    const file = storage.open(path, { access: "write", create: "missing" });
    try {
      const status = file.status();
      if (status.kind !== "file") throw new FailedError(`Cannot open ${path}: it is not a file`);
      if (!file.tryLockRange(LOCK_START, LOCK_LENGTH, "exclusive")) {
        throw inUse(file);
      }
      // Between open and lock the name may have been given to another file.
      if (leadsTo(storage, path, status)) {
        if (isNew && status.size === 0) made.push(file);
        return file;
      }
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

function inUse(file: StoredFile): DatabaseInUseError {
  const isOwned = file.rangeIsHeld(LOCK_START, LOCK_LENGTH, "shared");
  return new DatabaseInUseError(
    isOwned
      ? `Cannot open ${file.path}: another process has it open; stop that process first`
      : `Cannot open ${file.path}: it is being checked; try again when the check has ended`,
  );
}

/** Opens a file of a database for reading, and keeps owners away until it is closed. */
export function lockToRead(storage: Storage, path: string): StoredFile {
  while (true) {
    const file = storage.open(path, { access: "read" });
    try {
      if (!file.tryLockRange(LOCK_START, LOCK_LENGTH, "shared")) {
        throw new DatabaseInUseError(
          `Cannot read ${path}: another process has it open; stop that process first`,
        );
      }
      // Between open and lock the name may have been given to another file.
      if (leadsTo(storage, path, file.status())) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/** Opens both files for reading, and keeps owners away. Both must exist. */
export function lockPairToRead(storage: Storage, paths: DatabasePaths): LockedPair {
  const map = lockToRead(storage, paths.map);
  return undoOnError(() => map.close(), () => {
    return { map, log: lockToRead(storage, paths.log), made: [] };
  });
}

/**
 * Closes the held files and locks those that an exchange has put in their place. Another process may
 * lock the new files first, and owns them then. In that case this throws `DatabaseInUseError` and
 * changes nothing.
 */
export function relockPair(storage: Storage, paths: DatabasePaths, held: LockedPair): LockedPair {
  closePair(held);
  return lockPair(storage, paths);
}

/** Runs a step on files that are held. If the step throws, the files are released. */
export function releaseOnError<Result>(
  storage: Storage,
  held: LockedPair,
  step: () => Result,
): Result {
  try {
    return step();
  } catch (error) {
    unlinkMade(storage, held);
    closePair(held);
    throw error;
  }
}

/** Removes the files that were made for the lock alone, if their names still lead to them. */
export function unlinkMade(storage: Storage, held: Pick<LockedPair, "made">): void {
  for (const file of held.made) {
    if (leadsTo(storage, file.path, file.status())) storage.unlink(file.path);
  }
}

export function closePair(pair: LockedPair): void {
  pair.map.close();
  pair.log.close();
}

/**
 * Holding the two files: whoever has locked the first byte of both is the owner of the database. Those
 * who only look share the lock of that byte, and an owner comes when they are through.
 *
 * Invariant: a name is unlinked only while the file that it leads to is held, and only where that file
 * was made for the lock.
 */

import { FailedError, UsageError } from "../../base/errors.ts";
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
  /** Those of the two that did not exist before. */
  readonly made: readonly StoredFile[];
}

/** Both files open and locked, the map first. Missing ones are made, empty. */
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

/** Throws `UsageError` for a file that has a name which the other one needs for itself. */
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
      if (status.kind !== "file") throw new FailedError(`Cannot open ${path}: it is no file`);
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
      ? `Cannot open ${file.path}: another process has it open; stop that one first`
      : `Cannot open ${file.path}: it is being checked; try again when that is through`,
  );
}

/** Opens a file of a database to look at it, and keeps owners away until it is closed. */
export function lockToRead(storage: Storage, path: string): StoredFile {
  while (true) {
    const file = storage.open(path, { access: "read" });
    try {
      if (!file.tryLockRange(LOCK_START, LOCK_LENGTH, "shared")) {
        throw new DatabaseInUseError(`Cannot check ${path}: another process has it open`);
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

/**
 * The locks of the files that an exchange has put in the place of the held ones, which go. Somebody
 * else may come between and own the new files: then this throws `DatabaseInUseError`, and touches
 * nothing, for what stands under the names is his.
 */
export function relockPair(storage: Storage, paths: DatabasePaths, held: LockedPair): LockedPair {
  closePair(held);
  return lockPair(storage, paths);
}

/** Runs a step on files that are held; a step that fails lets go of them. */
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

/** Files that were made for the lock alone go again, where their names still lead to them. */
export function unlinkMade(storage: Storage, held: Pick<LockedPair, "made">): void {
  for (const file of held.made) {
    if (leadsTo(storage, file.path, file.status())) storage.unlink(file.path);
  }
}

export function closePair(pair: LockedPair): void {
  pair.map.close();
  pair.log.close();
}

/**
 * The failed mark: a file beside the map that says that a sync of the database has failed. The database
 * is not opened until `countd db repair` has read every byte back.
 */

import { dirname } from "node:path/posix";
import { CorruptError } from "../../base/errors.ts";
import { isSyncFailure, type Storage } from "../../file/mod.ts";

export function failedMarkPath(mapPath: string): string {
  return `${mapPath}.failed`;
}

/** Writes the failed mark. Best effort: the disk has just proved unreliable. */
export function markFailed(storage: Storage, mapPath: string, reason: string): void {
  try {
    using file = storage.open(failedMarkPath(mapPath), { access: "write", create: "missing" });
    file.write(new TextEncoder().encode(reason + "\n"), 0);
    file.sync();
    storage.syncDirectory(dirname(mapPath));
  } catch {
    // The process stops answering in any case.
  }
}

/**
 * Runs a sync before a database is served. A failed one is never tried again: the system may have
 * dropped the pages, and would report success for the next one. So the failed mark is written, and the
 * error is thrown again.
 */
export function syncOrMarkFailed(storage: Storage, mapPath: string, sync: () => void): void {
  try {
    sync();
  } catch (error) {
    // Syncing a directory opens it first. A lack of descriptors says nothing about the disk.
    if (isSyncFailure(error)) markFailed(storage, mapPath, String(error));
    throw error;
  }
}

/** True if the database with this map is marked failed. Throws `OsError` if the system refuses. */
export function isMarkedFailed(storage: Storage, mapPath: string): boolean {
  return storage.statusOrNull(failedMarkPath(mapPath)) !== null;
}

/** Throws `CorruptError` if the database is marked failed. To be checked again under its lock. */
export function requireNotFailed(storage: Storage, mapPath: string): void {
  if (!isMarkedFailed(storage, mapPath)) return;
  const isGone = (storage.statusOrNull(mapPath)?.size ?? 0) === 0;
  throw new CorruptError(
    `Database ${mapPath} is marked failed (${failedMarkPath(mapPath)}) since a sync failed: ` +
      "run countd db repair --in-place, which reads every byte back" +
      (isGone ? "; if the database was removed on purpose, remove the mark as well" : ""),
    { path: mapPath, offset: 0 },
  );
}

export function clearFailedMark(storage: Storage, mapPath: string): void {
  if (!isMarkedFailed(storage, mapPath)) return;
  storage.unlink(failedMarkPath(mapPath));
  storage.syncDirectory(dirname(mapPath));
}

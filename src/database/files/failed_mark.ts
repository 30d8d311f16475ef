/**
 * The failed mark of a database: a file beside the map that says that a sync has failed. The database
 * is not opened until `countd db repair` has read every byte back.
 */

import { CorruptError } from "../../base/errors.ts";
import { hasFailedMark, putFailedMark, syncOrMark } from "../../file/checked_log/mod.ts";
import type { Storage } from "../../file/mod.ts";

export function failedMarkPath(mapPath: string): string {
  return `${mapPath}.failed`;
}

/** Runs a sync before a database is served. If it fails, the database is marked failed. */
export function syncOrMarkFailed(storage: Storage, mapPath: string, sync: () => void): void {
  syncOrMark(sync, (reason) => putFailedMark(storage, failedMarkPath(mapPath), reason));
}

/** True if the database with this map is marked failed. Throws `OsError` if the system refuses. */
export function isMarkedFailed(storage: Storage, mapPath: string): boolean {
  return hasFailedMark(storage, failedMarkPath(mapPath));
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

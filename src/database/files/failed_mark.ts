/**
 * The mark of a database of which a sync has failed: a file beside the map. With it nothing is opened
 * until somebody has read every byte back (`countd db repair`).
 */

import { CorruptError } from "../../base/errors.ts";
import { directoryOf, isSyncFailure, type Storage } from "../../file/mod.ts";

export function failedMarkPath(mapPath: string): string {
  return `${mapPath}.failed`;
}

/** As good as it goes: the disk has just shown that it cannot be trusted. */
export function markFailed(storage: Storage, mapPath: string, reason: string): void {
  try {
    using file = storage.open(failedMarkPath(mapPath), { access: "write", create: "missing" });
    file.write(new TextEncoder().encode(reason + "\n"), 0);
    file.sync();
    storage.syncDirectory(directoryOf(mapPath));
  } catch {
    // The process stops answering in any case.
  }
}

/**
 * Runs a sync of a database that nobody serves yet. One that fails is never tried again, for the system
 * may have dropped the pages and would call the next one good: so it leaves the mark, and is thrown on.
 */
export function syncOrMarkFailed(storage: Storage, mapPath: string, sync: () => void): void {
  try {
    sync();
  } catch (error) {
    // To sync a directory it is opened first: that no descriptor is free says nothing of the disk.
    if (isSyncFailure(error)) markFailed(storage, mapPath, String(error));
    throw error;
  }
}

export function isMarkedFailed(storage: Storage, mapPath: string): boolean {
  return storage.statusOrNull(failedMarkPath(mapPath)) !== null;
}

/** Throws `CorruptError` for a database that is marked. To be asked again under its lock. */
export function requireNotFailed(storage: Storage, mapPath: string): void {
  if (!isMarkedFailed(storage, mapPath)) return;
  const isGone = (storage.statusOrNull(mapPath)?.size ?? 0) === 0;
  throw new CorruptError(
    `Database ${mapPath} is marked failed (${failedMarkPath(mapPath)}) since a sync failed: ` +
      "run countd db repair --in-place, which reads every byte back" +
      (isGone ? "; or, where the database was removed, remove the mark as well" : ""),
    { path: mapPath, offset: 0 },
  );
}

export function clearFailedMark(storage: Storage, mapPath: string): void {
  if (!isMarkedFailed(storage, mapPath)) return;
  storage.unlink(failedMarkPath(mapPath));
  storage.syncDirectory(directoryOf(mapPath));
}

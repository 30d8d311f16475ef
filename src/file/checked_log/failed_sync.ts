/**
 * What a failed sync leaves: the failed mark. The kernel reports a failure once, and may have dropped the
 * pages. So a failed sync is never tried again, and nothing is served before every byte was read back.
 *
 * The mark of a lone log is a file beside it. Where the mark of several logs lies is up to their owner.
 */

import { dirname } from "node:path/posix";
import { isSyncFailure, type Storage } from "../mod.ts";

/**
 * Runs a sync before a log is served. If it fails, `mark` is called with the reason, and the error is thrown
 * again. A sync of a directory opens it first: a lack of descriptors says nothing about the disk.
 */
export function syncOrMark(sync: () => void, mark: (reason: string) => void): void {
  try {
    sync();
  } catch (error) {
    if (isSyncFailure(error)) mark(String(error));
    throw error;
  }
}

/** Puts the mark at `path`, with the reason in it. False if the disk does not take it. */
export function putFailedMark(storage: Storage, path: string, reason: string): boolean {
  try {
    using file = storage.open(path, { access: "write", create: "missing" });
    file.write(new TextEncoder().encode(reason + "\n"), 0);
    file.sync();
    storage.syncDirectory(dirname(path));
    return true;
  } catch {
    // The process stops answering in any case.
    return false;
  }
}

/** True if the mark is at `path`. Throws `OsError` if the system refuses. */
export function hasFailedMark(storage: Storage, path: string): boolean {
  return storage.statusOrNull(path) !== null;
}

/** Removes the mark, durably. */
export function removeFailedMark(storage: Storage, path: string): void {
  if (!hasFailedMark(storage, path)) return;
  storage.unlink(path);
  storage.syncDirectory(dirname(path));
}

/**
 * `countd check --clear-failed`: after a sync that failed, the page cache may show bytes that are not on the
 * disk, and that the kernel takes for written. To read them back proves nothing. So every file is checked,
 * then each of its bytes is written again in its place and synced: what was checked is then on the disk. Only
 * after that the mark is removed.
 */

import { BusyError, CorruptError, FailedError } from "../base/errors.ts";
import {
  clearFailedMark,
  DataDirectory,
  directoryLocks,
  type Holder,
} from "../counters/commitlog/mod.ts";
import type { Storage } from "../file/mod.ts";
import { checkDirectory, type CheckReport, withoutFailedMark } from "./check.ts";

const CHUNK_BYTES = 1024 * 1024;

export interface Cleared extends CheckReport {
  /** False if the directory was not marked failed. */
  readonly wasMarked: boolean;
  /** Bytes that were written and synced again. */
  readonly rewrittenBytes: number;
}

/**
 * Throws `BusyError` while a daemon runs, `CorruptError` if a file is damaged (the mark then stays),
 * `FailedError` if one is of another format (the same), and `OsError` if the disk fails again.
 */
export function clearFailed(
  storage: Storage,
  data: string,
  options: { readonly self: Holder },
): Cleared {
  using directory = DataDirectory.open(storage, data, options);
  using _alone = lockOutDaemons(directory, "cleared");
  const report = checkDirectory(storage, data, options);
  const violations = withoutFailedMark(report.violations);
  if (violations.length > 0) {
    const [first] = violations;
    throw new CorruptError(
      `${violations.length} rules are broken, so the mark stays: run countd check, then countd repair`,
      { path: first?.path ?? data, offset: first?.offset ?? 0 },
    );
  }
  const [unknown] = report.otherFormats;
  if (unknown !== undefined) {
    throw new FailedError(`A file cannot be checked, so the mark stays. ${unknown}`);
  }
  if (directory.failedMark() === null) {
    return { ...report, violations, wasMarked: false, rewrittenBytes: 0 };
  }
  const { control, logs, keyspaces } = directory.paths;
  let rewrittenBytes = rewrite(storage, control);
  for (const path of [logs, keyspaces]) rewrittenBytes += rewriteAll(storage, path);
  storage.syncDirectory(data);
  clearFailedMark(directory.control.file);
  return { ...report, violations, wasMarked: true, rewrittenBytes };
}

/** Takes the daemons' lock exclusively. Throws `BusyError` while a daemon runs; `what` completes it. */
export function lockOutDaemons(directory: DataDirectory, what: string): Disposable {
  const { control, paths } = directory;
  if (!control.tryLock(directoryLocks.daemon)) {
    throw new BusyError(
      `Data directory ${paths.data} is in use and cannot be ${what} now: end all daemons first`,
    );
  }
  return { [Symbol.dispose]: () => control.unlock(directoryLocks.daemon) };
}

function rewriteAll(storage: Storage, directory: string): number {
  if (storage.statusOrNull(directory) === null) return 0;
  let bytes = 0;
  for (const name of storage.readDirectory(directory)) {
    const path = `${directory}/${name}`;
    if (storage.statusOrNull(path)?.kind === "file") bytes += rewrite(storage, path);
  }
  storage.syncDirectory(directory);
  return bytes;
}

/** Writes every byte of a file again in its place and syncs it; the mode stays. */
function rewrite(storage: Storage, path: string): number {
  const { mode, size } = storage.status(path);
  storage.chmod(path, 0o600);
  try {
    using file = storage.open(path, { access: "write" });
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(1, size)));
    for (let offset = 0; offset < size; offset += chunk.length) {
      const length = file.read(chunk, offset);
      file.write(chunk.subarray(0, length), offset);
    }
    file.sync();
  } finally {
    storage.chmod(path, mode);
  }
  return size;
}

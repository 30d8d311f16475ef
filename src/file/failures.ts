/**
 * Sorts errors of the system by what has to be done about them: wait, leave one file alone, or never again
 * trust what was written.
 */

import { OsError } from "../../ffi/mod.ts";

const FULL_CODES: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];
const SCARCE_CODES: readonly string[] = ["EMFILE", "ENFILE", "ENOMEM", "ENOLCK"];
const SYNC_CALLS: readonly string[] = ["fsync", "fdatasync", "syncfs", "msync", "sync"];
const READ_CALLS: readonly string[] = ["read", "open", "stat", "fstat"];
const READ_CODES: readonly string[] = ["EIO", "EBADMSG", "EUCLEAN"];
const CLOSED_CODES: readonly string[] = ["EACCES", "EPERM", "ENXIO", "EISDIR", "ELOOP"];

/** True if the operating system refused a call with one of these codes, such as `ENOENT`. */
export function hasCode(error: unknown, ...codes: readonly string[]): error is OsError {
  return error instanceof OsError && codes.includes(error.code);
}

/** What a call returns, or null if the operating system refuses it with one of these codes. */
export function nullIfCode<Result>(
  call: () => Result,
  ...codes: readonly string[]
): Result | null {
  try {
    return call();
  } catch (error) {
    if (hasCode(error, ...codes)) return null;
    throw error;
  }
}

/** True for ENOSPC, EDQUOT and EFBIG. A failed sync is never of this kind. */
export function isDiskFull(error: unknown): error is OsError {
  return hasCode(error, ...FULL_CODES) && !isSyncFailure(error);
}

/** True if a sync failed: earlier writes may be lost, and a second sync would not report it. */
export function isSyncFailure(error: unknown): error is OsError {
  return error instanceof OsError && SYNC_CALLS.includes(error.syscall);
}

/** True if the process or the system has too many files open, or too little memory, for now. */
export function isOutOfResources(error: unknown): error is OsError {
  return hasCode(error, ...SCARCE_CODES);
}

/**
 * True if a call that reads meets a bad sector or damage of the file system: only that one file is affected.
 * EIO of a write or a sync is excluded: after it, the state on disk is unknown.
 */
export function isReadFailure(error: unknown): error is OsError {
  return hasCode(error, ...READ_CODES) && READ_CALLS.includes(error.syscall);
}

/**
 * True if one file cannot be opened because of its kind or its owner. ELOOP comes from the `stat` before
 * the open. EACCES of that `stat` is excluded: it concerns the whole directory.
 */
export function isClosedToUs(error: unknown): error is OsError {
  if (!hasCode(error, ...CLOSED_CODES)) return false;
  return error.syscall === "open" || error.code === "ELOOP";
}

/**
 * Errors of the system by what has to be done about them: wait, leave one file alone, or never trust what
 * was written again.
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

/** True for ENOSPC, EDQUOT and EFBIG. A failed sync is never of this kind. */
export function isDiskFull(error: unknown): error is OsError {
  return hasCode(error, ...FULL_CODES) && !isSyncFailure(error);
}

/** True where a sync failed: what was written before it may be lost, and the kernel forgets that. */
export function isSyncFailure(error: unknown): error is OsError {
  return error instanceof OsError && SYNC_CALLS.includes(error.syscall);
}

/** True where the process or the system has too many files open, or too little memory, for now. */
export function isOutOfResources(error: unknown): error is OsError {
  return hasCode(error, ...SCARCE_CODES);
}

/**
 * True if a call that reads meets a bad sector or damage of the file system: trouble of that one file. EIO
 * of a write or a sync is another matter: then nobody knows what is on disk.
 */
export function isReadFailure(error: unknown): error is OsError {
  return hasCode(error, ...READ_CODES) && READ_CALLS.includes(error.syscall);
}

/**
 * True if one file cannot be opened because of what it is or who owns it. ELOOP is told before, by the
 * look at the name; EACCES of such a look is trouble of the whole directory.
 */
export function isClosedToUs(error: unknown): error is OsError {
  if (!hasCode(error, ...CLOSED_CODES)) return false;
  return error.syscall === "open" || error.code === "ELOOP";
}

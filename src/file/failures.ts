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

/** True for ENOSPC, EDQUOT and EFBIG. A failed sync is never of this kind. */
export function isDiskFull(error: unknown): error is OsError {
  return error instanceof OsError && FULL_CODES.includes(error.code) && !isSyncFailure(error);
}

/** True where a sync failed: what was written before it may be lost, and the kernel forgets that. */
export function isSyncFailure(error: unknown): error is OsError {
  return error instanceof OsError && SYNC_CALLS.includes(error.syscall);
}

/** True where the process or the system has too many files open, or too little memory, for now. */
export function isOutOfResources(error: unknown): error is OsError {
  return error instanceof OsError && SCARCE_CODES.includes(error.code);
}

/**
 * True if a call that reads meets a bad sector or damage of the file system: trouble of that one file. EIO
 * of a write or a sync is another matter: then nobody knows what is on disk.
 */
export function isReadFailure(error: unknown): error is OsError {
  return error instanceof OsError && READ_CODES.includes(error.code) &&
    READ_CALLS.includes(error.syscall);
}

/**
 * True if one file cannot be opened because of what it is or who owns it. ELOOP is told before, by the
 * look at the name; EACCES of such a look is trouble of the whole directory.
 */
export function isClosedToUs(error: unknown): error is OsError {
  if (!(error instanceof OsError) || !CLOSED_CODES.includes(error.code)) return false;
  return error.syscall === "open" || error.code === "ELOOP";
}

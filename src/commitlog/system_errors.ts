/** Errors of the system by what has to be done about them: wait, or never trust the directory again. */

import { OsError } from "../file/mod.ts";

const codes: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/** True for ENOSPC, EDQUOT and EFBIG. A failed sync is never of this kind: it is EIO. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof OsError && codes.includes(error.code) && !isSyncFailure(error);
}

/** True where a sync failed: what was written before it may be lost, and the kernel forgets that. */
export function isSyncFailure(error: unknown): boolean {
  return error instanceof OsError &&
    ["fsync", "fdatasync", "syncfs", "msync", "sync"].includes(error.syscall);
}

/** True where the process or the system has too many files open, or too little memory, for now. */
export function isOutOfResources(error: unknown): boolean {
  return error instanceof OsError && ["EMFILE", "ENFILE", "ENOMEM", "ENOLCK"].includes(error.code);
}

/** A device that cannot give back what a file holds. */

import { OsError } from "../../ffi/mod.ts";

const readingCalls: readonly string[] = ["read", "open", "stat", "fstat"];

/**
 * True for EIO of a call that reads: a bad sector, as a rule, and trouble of that one file. EIO of a write
 * or a sync is another matter: then nobody knows what is on disk.
 */
export function isReadFailure(error: unknown): error is OsError {
  return error instanceof OsError && error.code === "EIO" && readingCalls.includes(error.syscall);
}

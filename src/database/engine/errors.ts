/** The errors of a database that callers tell apart. */

import { BusyError, CorruptError, CountdError, NotFoundError } from "../../base/errors.ts";

/** Thrown if the map does not hold a key. The message is that of the original. */
export class InvalidKeyError extends NotFoundError {
  /** `InvalidKeyError`. */
  override readonly name = "InvalidKeyError";
  /** Makes the error for this key. */
  constructor(
    /** The key that was asked for. */
    readonly key: string,
  ) {
    super("Invalid Key");
  }
}

/** Thrown if the disk has no space for an entry. Nothing was changed; the same call may succeed later. */
export class StorageFullError extends BusyError {
  /** `StorageFullError`. */
  override readonly name = "StorageFullError";
}

/** Thrown if another process has the files open. Nothing was changed; try again when it has ended. */
export class DatabaseInUseError extends BusyError {
  /** `DatabaseInUseError`. */
  override readonly name = "DatabaseInUseError";
}

/** Thrown if too many requests wait, or while the database is being closed. Nothing was changed. */
export class DatabaseBusyError extends BusyError {
  /** `DatabaseBusyError`. */
  override readonly name = "DatabaseBusyError";
}

/** Thrown by every call after a failed sync, or after a file has lost its name. */
export class DatabaseFailedError extends CountdError {
  /** `DatabaseFailedError`. */
  override readonly name = "DatabaseFailedError";
  /** Always `corruption`. */
  override readonly kind = "corruption";
}

/** Makes the error for damage at a place of a file. */
export function damaged(path: string, offset: number, what: string): CorruptError {
  const message = `Damage in ${path} at byte ${offset}: ${what}; run countd db repair`;
  return new CorruptError(message, { path, offset });
}

/** The conditions of a database that callers tell apart. */

import { BusyError, FailedError, NotFoundError } from "../../base/errors.ts";

/** A key that the map does not hold. The message is the original's. */
export class InvalidKeyError extends NotFoundError {
  override readonly name = "InvalidKeyError";
  constructor(readonly key: string) {
    super("Invalid Key");
  }
}

/** No space for the entry: nothing was changed, and the same call may succeed later. */
export class StorageFullError extends BusyError {
  override readonly name = "StorageFullError";
}

/** Another process has the files open. */
export class DatabaseInUseError extends BusyError {
  override readonly name = "DatabaseInUseError";
}

/** Too many requests wait, or the database is being closed. */
export class DatabaseBusyError extends BusyError {
  override readonly name = "DatabaseBusyError";
}

/** A sync failed, so that nobody knows what is on the disk: nothing is answered any more. */
export class DatabaseFailedError extends FailedError {
  override readonly name = "DatabaseFailedError";
}

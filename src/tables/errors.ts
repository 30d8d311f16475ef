/** What the calls on tables and keys throw: one class for each case that a caller tells apart. */

import { BusyError, CorruptError, FailedError, NotFoundError, UsageError } from "../base/errors.ts";

/** The key does not exist. Thrown by `get` and `update`. */
export class KeyNotFoundError extends NotFoundError {
  /** Make the error for a key in the table of this name. */
  constructor(
    /** The key that was asked for. */
    readonly key: string,
    table: string,
  ) {
    super(`Key ${JSON.stringify(key)} is not in ${describeTable(table)}`);
  }
}

/** The table has no directory. Thrown when a table, or the root, is listed. */
export class TableNotFoundError extends NotFoundError {
  /** Make the error for a table whose directory would be `path`. */
  constructor(
    /** Name of the table; empty for the root table. */
    readonly table: string,
    path: string,
  ) {
    super(`${capital(describeTable(table))} does not exist: the directory ${path} is missing`);
  }
}

/** The table's directory was removed, moved or replaced during a write. */
export class TableLostError extends CorruptError {
  /** Make the error for a table whose directory was at `path`. */
  constructor(
    /** Name of the table; empty for the root table. */
    readonly table: string,
    path: string,
  ) {
    super(
      `The directory ${path} was removed, moved or replaced while a key of ${
        describeTable(table)
      } was ` +
        "written: the change is in the directory that had this name. Look where it is now, or write again",
      { path, offset: 0 },
    );
  }
}

/** The key exists already. Thrown by `create`. */
export class KeyExistsError extends FailedError {
  /** Make the error for a key in the table of this name. */
  constructor(
    /** The key that was to be created. */
    readonly key: string,
    table: string,
  ) {
    super(`Key ${JSON.stringify(key)} exists already in ${describeTable(table)}`);
  }
}

/** The key is not valid: see `checkKey` for the rules. */
export class InvalidKeyError extends UsageError {}

/** The table name is not valid: see `TableRoot.table` for the rules. */
export class InvalidTableError extends UsageError {}

/** A lock was not released in time. Nothing was changed. */
export class LockDeadlineError extends BusyError {
  /** Make the error for a lock on a file. */
  constructor(
    /** The locked file. */
    readonly path: string,
    /** How long the call has waited, in milliseconds. */
    readonly timeoutMs: number,
  ) {
    super(
      `Cannot lock ${path} within ${timeoutMs} ms: another process or handle holds it; ` +
        "try again, or wait longer with a greater lock timeout",
    );
  }
}

/** A path named like a value is not a regular file (for example, a directory). */
export class NotAValueError extends FailedError {
  /** Make the error for a path. */
  constructor(
    /** Path with the name of a value. */
    readonly path: string,
  ) {
    super(`Cannot use ${path} as a value: it is not a file; move it away`);
  }
}

/** A value is longer than one that is read into memory. It can be copied by its file. */
export class LongValueError extends FailedError {
  /** Make the error for a path and its length in bytes. */
  constructor(
    /** Path of the value. */
    readonly path: string,
    /** Length of the file in bytes. */
    readonly bytes: number,
  ) {
    super(`Cannot read ${path}: it has ${bytes} bytes, and at most 1 GiB is read; copy the file`);
  }
}

/** A path named like the root, a table, or a part of a table's name is not a directory. */
export class NotADirectoryError extends FailedError {
  /** Make the error for a path. */
  constructor(
    /** Path of the root or of the table's directory. */
    readonly path: string,
  ) {
    super(`Cannot use ${path} as a table: it is not a directory; move it away`);
  }
}

function describeTable(table: string): string {
  return table === "" ? "the root table" : `table ${JSON.stringify(table)}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What the calls on tables and keys throw, one class for each case that a caller tells apart. */

import { BusyError, FailedError, NotFoundError, UsageError } from "../base/errors.ts";

/** `get` and `update` of a key that is not there. */
export class KeyNotFoundError extends NotFoundError {
  override readonly name = "KeyNotFoundError";

  constructor(readonly key: string, table: string) {
    super(`Key ${JSON.stringify(key)} is not in ${describeTable(table)}`);
  }
}

/** Listing a table whose directory is not there. */
export class TableNotFoundError extends NotFoundError {
  override readonly name = "TableNotFoundError";

  constructor(readonly table: string, path: string) {
    super(`${capital(describeTable(table))} does not exist: there is no directory ${path}`);
  }
}

/** `create` of a key that is there already. */
export class KeyExistsError extends FailedError {
  override readonly name = "KeyExistsError";

  constructor(readonly key: string, table: string) {
    super(`Key ${JSON.stringify(key)} exists already in ${describeTable(table)}`);
  }
}

/** A key that no call takes; see `names.ts` for the rules. */
export class InvalidKeyError extends UsageError {
  override readonly name = "InvalidKeyError";
}

/** A table name that no call takes; see `names.ts` for the rules. */
export class InvalidTableError extends UsageError {
  override readonly name = "InvalidTableError";
}

/** A lock that others did not give up in time. Nothing was changed. */
export class LockDeadlineError extends BusyError {
  override readonly name = "LockDeadlineError";

  constructor(readonly path: string, readonly timeoutMs: number) {
    super(
      `Cannot lock ${path} within ${timeoutMs} ms: somebody else holds it; ` +
        "try again, or wait longer with a greater lock timeout",
    );
  }
}

/** Something that is no regular file (a directory, say) stands in the place of a value. */
export class NotAValueError extends FailedError {
  override readonly name = "NotAValueError";

  constructor(readonly path: string) {
    super(`Cannot use ${path} as a value: it is not a file; move it away`);
  }
}

/** Something that is no directory stands in the place of the root, a table, or a part of its name. */
export class NotADirectoryError extends FailedError {
  override readonly name = "NotADirectoryError";

  constructor(readonly path: string) {
    super(`Cannot use ${path} as a table: it is not a directory; move it away`);
  }
}

function describeTable(table: string): string {
  return table === "" ? "the root table" : `table ${JSON.stringify(table)}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

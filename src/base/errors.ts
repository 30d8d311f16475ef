/**
 * The conditions that callers are expected to tell apart. Each class names one kind, and each kind
 * has one exit code on the command line (see `src/cli`). Errors of the operating system carry their
 * own class (`OsError`, from `src/file`).
 *
 * Message form: a capital letter, no final period, what went wrong, where, and what to do.
 */

/**
 * What kind of failure an error is. The command line turns each into an exit code:
 *
 * | kind             | meaning                                                     | exit code |
 * | ---------------- | ----------------------------------------------------------- | --------- |
 * | `failed`         | the operation failed, and trying again will not help        | 1         |
 * | `usage`          | an argument, an option or a name that can never be right    | 2         |
 * | `not-found`      | what was named does not exist                               | 3         |
 * | `cannot-connect` | no server answers                                           | 4         |
 * | `refused`        | a server understood the request and refused it              | 5         |
 * | `corruption`     | a file is damaged or gone, or the disk failed               | 6         |
 * | `try-again`      | the same call may succeed later                             | 75        |
 */
export type ErrorKind =
  | "failed"
  | "usage"
  | "not-found"
  | "cannot-connect"
  | "refused"
  | "corruption"
  | "try-again";

/** The parent of every error that countd throws on purpose. */
export abstract class CountdError extends Error {
  /** The kind of failure. It decides the exit code, and it is the error's name in JSON output. */
  abstract readonly kind: ErrorKind;
  /** Name of the class. */
  override readonly name: string = this.constructor.name;
}

/** An operation that failed, and that trying again will not mend (port in use, exists already). */
export class FailedError extends CountdError {
  /** Always `failed`. */
  override readonly kind = "failed";
}

/** An argument, an option or a name that can never be right. */
export class UsageError extends CountdError {
  /** Always `usage`. */
  override readonly kind = "usage";
}

/** A data directory, a keyspace, a table, a key or a file that does not exist. */
export class NotFoundError extends CountdError {
  /** Always `not-found`. */
  override readonly kind = "not-found";
}

/** No server answers at the given address, or the server went away. */
export class ConnectError extends CountdError {
  /** Always `cannot-connect`. */
  override readonly kind = "cannot-connect";
}

/** A server understood a request and refused it. */
export class RefusedError extends CountdError {
  /** Always `refused`. */
  override readonly kind = "refused";
}

/** Bytes on disk that break a rule of their format. */
export class CorruptError extends CountdError {
  /** Always `corruption`. */
  override readonly kind = "corruption";

  /** Make an error about the damage at `where`; `options` may name the cause. */
  constructor(
    message: string,
    /** Path of the damaged file, and the offset of the damage in bytes from its start. */
    readonly where: { readonly path: string; readonly offset: number },
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Another process holds what is needed, or space is short. The same call may succeed later. */
export class BusyError extends CountdError {
  /** Always `try-again`. */
  override readonly kind = "try-again";
}

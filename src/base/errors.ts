/**
 * The conditions that callers are expected to tell apart. Each class names one kind, and each kind
 * has one exit code on the command line (see `src/cli`). Errors of the operating system carry their
 * own class (`OsError`, from `src/file`).
 *
 * Message form: a capital letter, no final period, what went wrong, where, and what to do.
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
  /** Which exit code and which `error.name` in JSON this error stands for. */
  abstract readonly kind: ErrorKind;
}

/** An operation failed and trying again will not help (port in use, exists already). */
export class FailedError extends CountdError {
  override readonly name: string = "FailedError";
  override readonly kind = "failed";
}

/** An argument, option or name that can never be right. */
export class UsageError extends CountdError {
  override readonly name: string = "UsageError";
  override readonly kind = "usage";
}

/** A data directory, keyspace, table or key that does not exist. */
export class NotFoundError extends CountdError {
  override readonly name: string = "NotFoundError";
  override readonly kind = "not-found";
}

/** No server answers where one was expected, or it went away. */
export class ConnectError extends CountdError {
  override readonly name: string = "ConnectError";
  override readonly kind = "cannot-connect";
}

/** A server understood a request and refused it. */
export class RefusedError extends CountdError {
  override readonly name: string = "RefusedError";
  override readonly kind = "refused";
}

/** Bytes on disk that break a rule of their format. Carries the file and the place in it. */
export class CorruptError extends CountdError {
  override readonly name: string = "CorruptError";
  override readonly kind = "corruption";

  constructor(
    message: string,
    /** Path of the file, and the byte offset of the damage in it. */
    readonly where: { readonly path: string; readonly offset: number },
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Somebody holds what is needed, or there is no space now: the same call may succeed later. */
export class BusyError extends CountdError {
  override readonly name: string = "BusyError";
  override readonly kind = "try-again";
}

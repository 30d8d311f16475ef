/** Exit codes, and the one place where an error becomes one of them. */
import { CountdError, type ErrorKind } from "../base/errors.ts";
import { errnoOf, StreamError, wordsOf } from "./stream_error.ts";

export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  usage: 2,
  "not-found": 3,
  "cannot-connect": 4,
  refused: 5,
  corruption: 6,
  "try-again": 75,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** What each code means, for the help and the man page. */
export const EXIT_CODE_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [0, "done"],
  [1, "failed (for example: port in use, exists already)"],
  [2, "wrong usage, or a name that is not allowed"],
  [3, "not found"],
  [4, "cannot connect"],
  [5, "refused"],
  [6, "corruption found"],
  [75, "try again later (disk full, lock timeout, already running)"],
];

/** What a failed command reports: the exit code, its name in JSON, and a sentence. */
export interface Failure {
  readonly code: ExitCode;
  readonly name: ErrorKind;
  readonly message: string;
  /** Where a bug happened; absent for every other failure. */
  readonly stack?: string;
}

/** The kinds of the errno names that do not simply mean "failed". */
const KINDS_OF_ERRNO: readonly (readonly [RegExp, ErrorKind])[] = [
  [/^(ENOSPC|EDQUOT|EFBIG|EAGAIN|EWOULDBLOCK|ENOLCK|EMFILE|ENFILE|ENOMEM)$/, "try-again"],
  [/^ENOENT$/, "not-found"],
  [/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, "cannot-connect"],
];

/** What to do about an errno, if its own text does not say it. */
const ADVICE_OF_ERRNO: Readonly<Record<string, string>> = {
  EACCES: "the user that runs countd has no permission; use the user that owns the data directory",
  EPERM: "the user that runs countd has no permission; use the user that owns the data directory",
  ENOSPC: "the disk is full; free some space and try again",
  EDQUOT: "the disk quota is used up; free some space and try again",
  EROFS: "the file system is mounted read-only",
  EMFILE: "too many open files; raise the limit (ulimit -n, LimitNOFILE=)",
};

/** Turns anything that was thrown into what is reported to the user. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CountdError) return failure(error.kind, error.message);
  if (error instanceof Deno.errors.AddrInUse) {
    return failure("failed", "Cannot listen: the port is in use; choose another");
  }
  if (error instanceof Deno.errors.ConnectionRefused) {
    const message = "Cannot connect: no server listens there; check that it is running";
    return failure("cannot-connect", message);
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return failure("failed", "Cannot listen: the address does not belong to this machine");
  }
  const errno = errnoOf(error);
  if (errno !== null) {
    const advice = adviceOf(error as Error, errno);
    const message = wordsOf(error as Error);
    const kind = KINDS_OF_ERRNO.find(([pattern]) => pattern.test(errno))?.[1] ?? "failed";
    return failure(kind, advice ? `${message}: ${advice}` : message);
  }
  if (error instanceof StreamError) return failure("failed", error.message);
  if (error instanceof Deno.errors.NotFound) return failure("not-found", error.message);
  if (error instanceof Deno.errors.PermissionDenied) return failure("failed", error.message);
  const stack = error instanceof Error ? error.stack : undefined;
  const message = `A bug in countd: ${error instanceof Error ? error.message : String(error)}`;
  return { ...failure("failed", message), ...(stack === undefined ? {} : { stack }) };
}

function failure(name: ErrorKind, message: string): Failure {
  return { code: EXIT_CODES[name], name, message };
}

/** Returns no advice for an error of the runtime: it is about a file outside the data directory. */
function adviceOf(error: Error, errno: string): string | undefined {
  return error instanceof Deno.errors.PermissionDenied ? undefined : ADVICE_OF_ERRNO[errno];
}

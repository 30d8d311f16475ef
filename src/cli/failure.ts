/** The one place where an error becomes an exit code. */
import { CountdError, type ErrorKind } from "../base/errors.ts";
import { printableText } from "../base/printable.ts";
import { type ErrnoMeaning, meaningOfErrno, type Trouble, troubleOf } from "../file/mod.ts";
import { EXIT_CODES, type ExitCode } from "./exit_codes.ts";
import { errnoOf, StreamError, wordsOf } from "./stream_error.ts";

/** What a failed command reports: the exit code, its name in JSON, and a sentence. */
export interface Failure {
  readonly code: ExitCode;
  readonly name: ErrorKind;
  readonly message: string;
  /** Where a bug happened; absent for every other failure. */
  readonly stack?: string;
}

/** What an error of a file of countd is reported as, by what has to be done about it. */
const KIND_OF_TROUBLE: Readonly<Record<Trouble, ErrorKind>> = {
  missing: "not-found",
  closed: "failed",
  damaged: "corruption",
  passing: "try-again",
  disk: "corruption",
  ours: "failed",
};

/** The same for an error of the runtime: of a stream, a socket, or a file that the user named. */
const KIND_OF_MEANING: Partial<Readonly<Record<ErrnoMeaning, ErrorKind>>> = {
  missing: "not-found",
  unreachable: "cannot-connect",
  full: "try-again",
  scarce: "try-again",
  busy: "try-again",
};

/** What to do about an errno, if its own text does not say it. */
const ADVICE_OF_ERRNO: Readonly<Record<string, string>> = {
  EACCES: "the user that runs countd has no permission; use the user that owns the data directory",
  EPERM: "the user that runs countd has no permission; use the user that owns the data directory",
  ENOSPC: "the disk is full; free some space and try again",
  EDQUOT: "the disk quota is used up; free some space and try again",
  EROFS: "mount it for writing; the system mounts a disk that fails read-only",
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
    const trouble = troubleOf(error);
    const kind = trouble === null
      ? KIND_OF_MEANING[meaningOfErrno(errno)] ?? "failed"
      : KIND_OF_TROUBLE[trouble];
    return failure(kind, advice ? `${message}: ${advice}` : message);
  }
  if (error instanceof StreamError) return failure("failed", error.message);
  if (error instanceof Deno.errors.NotFound) return failure("not-found", error.message);
  if (error instanceof Deno.errors.PermissionDenied) return failure("failed", error.message);
  const stack = error instanceof Error ? error.stack : undefined;
  const message = `A bug in countd: ${error instanceof Error ? error.message : String(error)}`;
  return { ...failure("failed", message), ...(stack === undefined ? {} : { stack }) };
}

/** The message may repeat what the user typed, or what a file or a peer has said. */
function failure(name: ErrorKind, message: string): Failure {
  return { code: EXIT_CODES[name], name, message: printableText(message) };
}

/** Returns no advice for an error of the runtime: it is about a file outside the data directory. */
function adviceOf(error: Error, errno: string): string | undefined {
  return error instanceof Deno.errors.PermissionDenied ? undefined : ADVICE_OF_ERRNO[errno];
}

/** Turns an errno into an exception: no other file here does. */

import { nameOfErrno, wordsOfErrno } from "./errno_table.ts";
import { libc } from "./libc.ts";

/** A system call that failed: which, on what, and why. */
export class OsError extends Error {
  /** Name of the class. */
  override readonly name = "OsError";

  /** Make the error of a system call; `options` may name the cause. */
  constructor(
    /** What was called, such as `open`; for some calls a phrase, such as `read directory`. */
    readonly syscall: string,
    /** The file that the call was about; empty if there is none. */
    readonly path: string,
    /** Name of the errno, such as `ENOENT`. */
    readonly code: string,
    options?: ErrorOptions,
  ) {
    const why = wordsOfErrno(code);
    super(
      `Cannot ${syscall}${path === "" ? "" : " " + path}: ${why ? `${why} (${code})` : code}`,
      options,
    );
  }
}

/** Name of an error number on this platform. */
export function errnoName(number: number): string {
  return nameOfErrno(libc().abi.errnoPlatform, number);
}

/** The result of a system call, or the name of its errno where the result was −1. */
export type Outcome = number | string;

/**
 * Makes a system call that may be made again after a failure, and says what came of it. A signal that
 * interrupts it does not count. The runtime may call libc itself between the call and the look at errno
 * (its first lock that has to wait opens a file of /sys that many systems do not have), so a failure
 * counts when two calls in a row give the same errno. `before` is that of a call that has just been made.
 */
export function outcomeOf(call: () => number | bigint, before = ""): Outcome {
  while (true) {
    const number = Number(call());
    if (number !== -1) return number;
    const code = errnoName(libc().errno());
    if (code === before && code !== "EINTR") return code;
    before = code;
  }
}

/** Returns the result of a call that may be made again, or throws its `OsError`; see `outcomeOf`. */
export function checkRetrying(
  call: () => number | bigint,
  syscall: string,
  path: string,
): number {
  const outcome = outcomeOf(call);
  if (typeof outcome === "number") return outcome;
  throw new OsError(syscall, path, outcome);
}

/**
 * Returns the result of a call that must not be made again after a failure, such as a sync: a second sync
 * succeeds and hides that data is lost. Only a signal that interrupts it makes it begin again.
 */
export function checkOnce(
  call: () => number | bigint,
  syscall: string,
  path: string,
): number {
  while (true) {
    const number = Number(call());
    if (number !== -1) return number;
    const code = errnoName(libc().errno());
    if (code !== "EINTR") throw new OsError(syscall, path, code);
  }
}

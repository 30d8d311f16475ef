/** Turns an errno into an exception: no other file here does. */

import { libc } from "./libc.ts";

const explanations: Readonly<Record<string, string>> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  EIO: "input/output error",
  ENXIO: "not a file, or its device is gone",
  EAGAIN: "held by another process",
  ENOMEM: "not enough memory",
  EACCES: "permission denied",
  EEXIST: "exists already",
  EXDEV: "not on the same file system",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  ENFILE: "too many open files on this system",
  EMFILE: "too many open files in this process",
  EFBIG: "file too large",
  ENOSPC: "no space left on the disk",
  EROFS: "the file system is read-only",
  EMLINK: "too many links",
  ENAMETOOLONG: "the name is too long",
  ENOLCK: "no locks available",
  ENOSYS: "not supported by this system",
  ENOTEMPTY: "the directory is not empty",
  ELOOP: "too many symbolic links",
  EDQUOT: "the disk quota is used up",
  EOPNOTSUPP: "not supported by the file system",
  EBADMSG: "the file system found damage",
  EUCLEAN: "the file system is damaged",
  ESTALE: "the file is gone from its server",
};

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
    const why = explanations[code];
    super(
      `Cannot ${syscall}${path === "" ? "" : " " + path}: ${why ? `${why} (${code})` : code}`,
      options,
    );
  }
}

/** Name of an error number on this platform. */
export function errnoName(number: number): string {
  return libc().abi.errno[number] ?? `errno ${number}`;
}

/**
 * Returns `result`, or throws the `OsError` of errno if it is −1. Call it in the same function as the
 * system call and right after it: any other call may change errno.
 */
export function check(result: number | bigint, syscall: string, path: string): number {
  const number = Number(result);
  if (number !== -1) return number;
  throw new OsError(syscall, path, errnoName(libc().errno()));
}

/** As `check`, but makes the call again for as long as a signal interrupts it. */
export function checkRetrying(
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

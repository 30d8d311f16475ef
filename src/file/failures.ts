/**
 * Sorts errors of the system by what has to be done about them. `ffi/errno_table.ts` says what each errno
 * means; here that becomes a trouble, by the kind of call that met it, and by the kind of file.
 */

import { type ErrnoMeaning, meaningOfErrno, OsError } from "../../ffi/mod.ts";

/**
 * What has to be done about an error:
 *
 * | trouble   | whose it is          | what happens                                                 | exit code |
 * | --------- | -------------------- | ------------------------------------------------------------ | --------- |
 * | `missing` | the name's           | there is no such file                                        | 3         |
 * | `closed`  | the file's           | the file is left alone; see `concernsOneFile`                | 1         |
 * | `damaged` | the file's           | the same: what is in it cannot be read                       | 6         |
 * | `passing` | the system's for now | the call is made again later                                 | 75        |
 * | `disk`    | the disk's           | what was written cannot be trusted: no process goes on there | 6         |
 * | `ours`    | the program's        | the process ends                                             | 1         |
 */
export type Trouble = "missing" | "closed" | "damaged" | "passing" | "disk" | "ours";

/** Calls by what they change; those that no list has open or read a file. */
const DIRECTORY_CALLS: readonly string[] = ["link", "unlink", "rename", "mkdir", "rmdir"];
const NAME_CALLS: readonly string[] = [...DIRECTORY_CALLS, "chmod", "fchmod"];
const WRITE_CALLS: readonly string[] = ["write", "ftruncate", "posix_fallocate", "allocate"];
const SYNC_CALLS: readonly string[] = ["fsync", "fdatasync", "syncfs", "msync", "sync"];

/**
 * The trouble of each meaning: if the call reads, changes a name or a mode, or writes into an open file. A sync
 * that failed is always the disk's.
 */
const TROUBLES: Readonly<Record<ErrnoMeaning, readonly [Trouble, Trouble, Trouble]>> = {
  missing: ["missing", "missing", "missing"],
  closed: ["closed", "closed", "disk"],
  failing: ["damaged", "disk", "disk"],
  unreachable: ["damaged", "disk", "disk"],
  readonly: ["disk", "disk", "disk"],
  full: ["passing", "passing", "passing"],
  scarce: ["passing", "passing", "passing"],
  busy: ["passing", "passing", "passing"],
  misuse: ["ours", "ours", "ours"],
};

/** Kinds of files that countd keeps. A `backup` is its list of contents. */
export type FileKind =
  | "control"
  | "log"
  | "keyspace"
  | "table"
  | "value"
  | "database"
  | "aof"
  | "run"
  | "backup"
  | "directory";

/** Whether others of its kind can be used if one file cannot: then it is left alone, and named. */
const HAS_OTHERS: Readonly<Record<FileKind, boolean>> = {
  control: false,
  log: true,
  keyspace: true,
  table: true,
  value: true,
  database: false,
  aof: false,
  run: true,
  backup: false,
  directory: false,
};

/** What has to be done about an error of the system. Null for any other error. */
export function troubleOf(error: unknown): Trouble | null {
  if (!(error instanceof OsError)) return null;
  if (SYNC_CALLS.includes(error.syscall)) return "disk";
  const [reads, names, writes] = TROUBLES[meaningOfErrno(error.code)];
  if (WRITE_CALLS.includes(error.syscall)) return writes;
  return NAME_CALLS.includes(error.syscall) ? names : reads;
}

/**
 * True if an error is about one file of this kind, and the others can be used without it: the disk cannot
 * read it, or its owner, its mode or its kind forbids to open it. Never true of a kind without others.
 */
export function concernsOneFile(error: unknown, kind: FileKind): error is OsError {
  const trouble = troubleOf(error);
  if (!HAS_OTHERS[kind] || (trouble !== "closed" && trouble !== "damaged")) return false;
  // A name that may not be changed: that is up to the directory.
  return !(hasCode(error, "EACCES") && DIRECTORY_CALLS.includes(error.syscall));
}

/** True if the operating system refused a call with one of these codes, such as `ENOENT`. */
export function hasCode(error: unknown, ...codes: readonly string[]): error is OsError {
  return error instanceof OsError && codes.includes(error.code);
}

/** What a call returns, or null if the operating system refuses it with one of these codes. */
export function nullIfCode<Result>(
  call: () => Result,
  ...codes: readonly string[]
): Result | null {
  try {
    return call();
  } catch (error) {
    if (hasCode(error, ...codes)) return null;
    throw error;
  }
}

/** True if the disk, or a quota or a limit of size, has no space now. A failed sync is never of this kind. */
export function isDiskFull(error: unknown): error is OsError {
  return isPassing(error) && meaningOfErrno(error.code) === "full";
}

/** True if the process or the system has too many files open, or too little memory, for now. */
export function isOutOfResources(error: unknown): error is OsError {
  return isPassing(error) && meaningOfErrno(error.code) === "scarce";
}

/** True if the same call may succeed later. */
export function isPassing(error: unknown): error is OsError {
  return troubleOf(error) === "passing";
}

/** True if a sync failed: earlier writes may be lost, and a second sync would not report it. */
export function isSyncFailure(error: unknown): error is OsError {
  return error instanceof OsError && SYNC_CALLS.includes(error.syscall);
}

/**
 * True if what the disk holds is unknown: a sync failed, or a write did for another reason than its space, or the
 * file system has become read-only.
 */
export function isDiskFailure(error: unknown): error is OsError {
  return troubleOf(error) === "disk";
}

/** True if a call that reads meets a bad sector or damage of the file system: only that one file is affected. */
export function isReadFailure(error: unknown): error is OsError {
  return troubleOf(error) === "damaged";
}

/** What is done about each errno, for each kind of call and of file. */

import { assert, assertEquals } from "@std/assert";
import { ERRNO_ROWS } from "../../ffi/errno_table.ts";
import { failureOf } from "../../src/cli/failure.ts";
import {
  concernsOneFile,
  type FileKind,
  isDiskFailure,
  isDiskFull,
  isOutOfResources,
  isPassing,
  isSyncFailure,
  OsError,
  type Trouble,
  troubleOf,
} from "../../src/file/mod.ts";

/** Troubles of a call that opens or reads, that changes a name, and that writes. */
const EXPECTED: readonly (readonly [string, Trouble, Trouble, Trouble])[] = [
  ["ENOENT", "missing", "missing", "missing"],
  ["EACCES EPERM ELOOP EISDIR ENOTDIR ENXIO ENAMETOOLONG ENOKEY", "closed", "closed", "disk"],
  ["EIO EBADMSG EUCLEAN ENODATA EREMOTEIO ESTALE ENOTCONN ENODEV", "damaged", "disk", "disk"],
  ["EROFS", "disk", "disk", "disk"],
  ["ENOSPC EDQUOT EFBIG", "passing", "passing", "passing"],
  ["EMFILE ENFILE ENOMEM ENOLCK EAGAIN EBUSY EINTR", "passing", "passing", "passing"],
  ["EBADF EFAULT EINVAL ENOSYS", "ours", "ours", "ours"],
];

const READS = ["open", "stat", "fstat", "read", "mmap", "fcntl", "read directory"];
const NAMES = ["link", "unlink", "rename", "mkdir", "rmdir", "chmod", "fchmod"];
const WRITES = ["write", "ftruncate", "posix_fallocate"];
const SYNCS = ["fsync", "fdatasync", "syncfs", "msync"];

const EXIT_CODES: Readonly<Record<Trouble, number>> = {
  missing: 3,
  closed: 1,
  damaged: 6,
  passing: 75,
  disk: 6,
  ours: 1,
};

const WITH_OTHERS: readonly FileKind[] = ["log", "keyspace", "table", "value", "run"];
const ALONE: readonly FileKind[] = ["control", "database", "aof", "backup", "directory"];

function fail(call: string, errno: string): OsError {
  return new OsError(call, "/data/file", errno);
}

Deno.test("The errno and the kind of call decide whose trouble it is", () => {
  for (const [errnos, reads, names, writes] of EXPECTED) {
    for (const errno of errnos.split(" ")) {
      for (const call of READS) assertEquals([errno, troubleOf(fail(call, errno))], [errno, reads]);
      for (const call of NAMES) assertEquals([errno, troubleOf(fail(call, errno))], [errno, names]);
      for (const call of WRITES) {
        assertEquals([errno, troubleOf(fail(call, errno))], [errno, writes]);
      }
    }
  }
});

Deno.test("Every errno has one trouble for each call, one exit code, and belongs to at most one wait", () => {
  for (const [errno] of ERRNO_ROWS) {
    for (const call of [...READS, ...NAMES, ...WRITES, ...SYNCS]) {
      const error = fail(call, errno);
      const trouble = troubleOf(error);
      assert(trouble !== null, errno);
      assertEquals([errno, call, failureOf(error).code], [errno, call, EXIT_CODES[trouble]]);
      assertEquals(failureOf(error).stack, undefined);
      assertEquals(isDiskFailure(error), trouble === "disk");
      assertEquals(isPassing(error), trouble === "passing");
      assert(!(isDiskFull(error) && isOutOfResources(error)), errno);
      assert(isPassing(error) || !isDiskFull(error) && !isOutOfResources(error), errno);
      if (isSyncFailure(error)) assertEquals([errno, trouble], [errno, "disk"]);
    }
  }
});

Deno.test("Only a file that has others beside it is left alone, and only for what it is or holds", () => {
  for (const [errno] of ERRNO_ROWS) {
    for (const call of [...READS, ...WRITES, ...SYNCS]) {
      const error = fail(call, errno);
      const isOne = ["closed", "damaged"].includes(troubleOf(error)!);
      for (const kind of WITH_OTHERS) assertEquals(concernsOneFile(error, kind), isOne, errno);
      for (const kind of ALONE) assertEquals(concernsOneFile(error, kind), false, errno);
    }
  }
  // A name that cannot be made is the trouble of its directory.
  assertEquals(concernsOneFile(fail("link", "EACCES"), "log"), false);
  assertEquals(concernsOneFile(fail("chmod", "EPERM"), "log"), true);
  assertEquals(troubleOf(new Error("EIO")), null);
});

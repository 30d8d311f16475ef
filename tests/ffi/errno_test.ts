/**
 * Errors of system calls, and what the runtime does to errno beside them.
 */

import { constants } from "node:os";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { checkOnce, checkRetrying, OsError, outcomeOf } from "../../ffi/errno.ts";
import { ERRNO_ROWS, meaningOfErrno, nameOfErrno } from "../../ffi/errno_table.ts";
import { libc } from "../../ffi/libc.ts";

const NO_DESCRIPTOR = -1;
const NOWHERE = new TextEncoder().encode("/nowhere/at/all\0");

/** A `flock` that fails with EBADF. After its first call errno is that of another call, ENOENT. */
function overwrittenOnce(): { readonly call: () => number; calls: number } {
  const state = {
    calls: 0,
    call: () => {
      const result = libc().call.flock(NO_DESCRIPTOR, libc().abi.LOCK_UN);
      if (state.calls++ === 0) libc().call.unlink(NOWHERE);
      return result;
    },
  };
  return state;
}

// V8's first lock that has to wait looks for /sys/devices/system/cpu/cpu0/tsc_freq_khz. That came between
// a lock that was refused and the look at errno, and a writer ended with ENOENT.
Deno.test("What the runtime calls between a call that fails and the look at errno is not taken for its error", () => {
  const overwritten = overwrittenOnce();
  assertEquals(outcomeOf(overwritten.call), "EBADF");
  assertEquals(overwritten.calls, 3);
  const error = assertThrows(
    () => checkRetrying(overwrittenOnce().call, "flock", "/a/file"),
    OsError,
  );
  assertEquals(error.code, "EBADF");
  assertEquals(error.message, "Cannot flock /a/file: not an open file (EBADF)");
});

Deno.test("A call that succeeds the second time has succeeded", () => {
  let calls = 0;
  const call = () => calls++ === 0 ? libc().call.flock(NO_DESCRIPTOR, libc().abi.LOCK_UN) : 7;
  assertEquals(outcomeOf(call), 7);
});

Deno.test("A sync that fails is not made again, since a second one would succeed", () => {
  let calls = 0;
  const call = () => calls++ === 0 ? libc().call.fsync(NO_DESCRIPTOR) : 0;
  assertThrows(() => checkOnce(call, "fsync", "/a/file"), OsError);
  assertEquals(calls, 1);
});

/** Names that share the number of another. */
const ALIASES = ["EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"];
const HEADERS = ["/usr/include/asm-generic/errno-base.h", "/usr/include/asm-generic/errno.h"];

Deno.test("Every errno of this system has its name, its meaning and its words", () => {
  const platform = Deno.build.os === "darwin" ? "apple" : "linux";
  const numbers = new Map<string, number>(Object.entries(constants.errno));
  if (platform === "linux") {
    for (const header of HEADERS) {
      const text = readOrEmpty(header);
      for (const [, name, number] of text.matchAll(/^#define\s+(E\w+)\s+(\d+)/gm)) {
        numbers.set(name!, Number(number));
      }
    }
  }
  assert(numbers.size > 70);
  for (const [name, number] of numbers) {
    if (ALIASES.includes(name)) continue;
    assertEquals(nameOfErrno(platform, number), name);
    const row = ERRNO_ROWS.find((each) => each[0] === name)!;
    assertEquals(row[3], meaningOfErrno(name));
    assert(row[4].length > 3 || row[3] === "misuse", name);
  }
});

Deno.test("No number and no name of an errno is there twice, and an unknown one is named by its number", () => {
  for (const column of [0, 1, 2] as const) {
    const values = ERRNO_ROWS.map((row) => row[column]).filter((value) => value !== null);
    assertEquals(new Set(values).size, values.length);
  }
  assertEquals(nameOfErrno("linux", 524), "errno 524");
  assertEquals(meaningOfErrno("errno 524"), "failing");
});

function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/**
 * Errors of system calls, and what the runtime does to errno beside them.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { checkOnce, checkRetrying, OsError, outcomeOf } from "../../ffi/errno.ts";
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
  assertEquals(error.message, "Cannot flock /a/file: EBADF");
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

/**
 * Kernel locks that never wait, of two families:
 *
 * - Open-file-description locks on byte ranges (`F_OFD_SETLK`). They belong to the open description: a
 *   second descriptor in the same process is refused too, closing another descriptor drops nothing, and
 *   the end of the process releases them.
 * - `flock(2)` on the whole file.
 *
 * On Linux the two families do not see each other.
 */

import { OsError, outcomeOf } from "./errno.ts";
import { fcntl } from "./file.ts";
import { libc } from "./libc.ts";

export type RangeLockType = "shared" | "exclusive" | "none";

function flockStruct(type: RangeLockType, start: number, length: number): Uint8Array<ArrayBuffer> {
  const { abi } = libc();
  const bytes = new Uint8Array(abi.flock.size);
  const view = new DataView(bytes.buffer);
  const number = type === "shared" ? abi.F_RDLCK : type === "exclusive" ? abi.F_WRLCK : abi.F_UNLCK;
  view.setInt16(abi.flock.type, number, true);
  view.setInt16(abi.flock.whence, 0, true); // SEEK_SET
  view.setBigInt64(abi.flock.start, BigInt(start), true);
  view.setBigInt64(abi.flock.length, BigInt(length), true);
  view.setInt32(abi.flock.pid, 0, true); // must be 0 for the OFD commands
  return bytes;
}

/** Sets or clears a range lock; false if another description holds a conflicting one. */
export function setRangeLock(
  descriptor: number,
  type: RangeLockType,
  range: { readonly start: number; readonly length: number; readonly path: string },
): boolean {
  const { abi } = libc();
  const request = flockStruct(type, range.start, range.length);
  const result = fcntl(descriptor, abi.F_OFD_SETLK, request, {
    path: range.path,
    syscall: "fcntl F_OFD_SETLK",
    quiet: ["EAGAIN", "EACCES"],
  });
  return result !== -1;
}

/** True if a lock of another description conflicts with a lock of this `type`. */
export function rangeLockConflicts(
  descriptor: number,
  type: "shared" | "exclusive",
  range: { readonly start: number; readonly length: number; readonly path: string },
): boolean {
  const { abi } = libc();
  const request = flockStruct(type, range.start, range.length);
  fcntl(descriptor, abi.F_OFD_GETLK, request, { path: range.path, syscall: "fcntl F_OFD_GETLK" });
  const answer = new DataView(request.buffer).getInt16(abi.flock.type, true);
  return answer !== abi.F_UNLCK;
}

/** flock(2) without waiting; false if another description holds a conflicting one. */
export function tryFlock(
  descriptor: number,
  kind: "shared" | "exclusive",
  path: string,
): boolean {
  const { abi, call } = libc();
  const operation = (kind === "shared" ? abi.LOCK_SH : abi.LOCK_EX) | abi.LOCK_NB;
  const outcome = outcomeOf(() => call.flock(descriptor, operation));
  if (outcome === 0) return true;
  if (outcome === "EAGAIN") return false;
  throw new OsError("flock", path, String(outcome));
}

export function releaseFlock(descriptor: number): void {
  const { abi, call } = libc();
  call.flock(descriptor, abi.LOCK_UN);
}

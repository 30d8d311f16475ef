/** Keeps files from being copied on each store, on the file systems of Linux that do so. */

import { checkRetrying, outcomeOf } from "./errno.ts";
import { libc } from "./libc.ts";

/** `f_type` of the file systems that write elsewhere what is overwritten: btrfs, bcachefs, ZFS. */
const COPYING_TYPES: readonly number[] = [0x9123683e, 0xca451a4e, 0x2fc12fc1];
/** `struct statfs` has 120 bytes, and begins with `f_type`. */
const STATFS_BYTES = 120;
const FS_IOC_GETFLAGS = 0x80086601n;
const FS_IOC_SETFLAGS = 0x40086602n;
const FS_NOCOW_FL = 0x00800000;

/**
 * Asks the file system to overwrite an empty file in place. Otherwise a store into a mapping may need new
 * space, and a full disk ends the process. False if the file system copies and cannot be asked.
 */
export function avoidCopyOnWrite(descriptor: number, path: string): boolean {
  if (Deno.build.os !== "linux") return true;
  const { call } = libc();
  const status = new Uint32Array(STATFS_BYTES / 4);
  checkRetrying(() => call.fstatfs(descriptor, new Uint8Array(status.buffer)), "fstatfs", path);
  if (!COPYING_TYPES.includes(status[0]!)) return true;
  const flags = new Uint32Array(2);
  const control = (request: bigint) =>
    typeof outcomeOf(() => call.ioctl(descriptor, request, new Uint8Array(flags.buffer))) ===
      "number";
  if (!control(FS_IOC_GETFLAGS)) return false;
  flags[0]! |= FS_NOCOW_FL;
  // A file that is not empty keeps its flags, without an error.
  if (!control(FS_IOC_SETFLAGS) || !control(FS_IOC_GETFLAGS)) return false;
  return (flags[0]! & FS_NOCOW_FL) !== 0;
}

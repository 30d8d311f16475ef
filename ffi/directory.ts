/** Reads the names of a directory one buffer at a time, so that memory does not grow with its size. */

import { checkRetrying } from "./errno.ts";
import { libc } from "./libc.ts";
import { textOfBytes } from "./path.ts";

/** `struct linux_dirent64`, the same on every Linux platform. */
const LENGTH_OFFSET = 16;
const NAME_OFFSET = 19;

/** True if a directory can be read in batches: glibc 2.30 or later. */
export function hasDirectoryBatches(): boolean {
  return libc().call.getdents64 !== null;
}

/**
 * The next names of an open directory without `.` and `..`; null at its end. `into` is the scratch buffer;
 * it should hold some tens of KiB. Names that are not UTF-8 are encoded as `path.ts` says.
 */
export function readNames(
  descriptor: number,
  into: Uint8Array<ArrayBuffer>,
  path: string,
): string[] | null {
  const { getdents64 } = libc().call;
  if (!getdents64) throw new Error("readNames is for platforms with directory batches");
  const call = () => getdents64(descriptor, into, BigInt(into.length));
  const length = checkRetrying(call, "read directory", path);
  if (length === 0) return null;
  const view = new DataView(into.buffer, into.byteOffset, length);
  const names: string[] = [];
  for (let entry = 0; entry < length;) {
    const end = into.indexOf(0, entry + NAME_OFFSET);
    const name = textOfBytes(into.subarray(entry + NAME_OFFSET, end));
    if (name !== "." && name !== "..") names.push(name);
    entry += view.getUint16(entry + LENGTH_OFFSET, true);
  }
  return names;
}

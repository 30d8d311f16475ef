/** Tells which file a name leads to, by device and inode. */

import type { FileStatus, Storage } from "./storage.ts";

/**
 * What tells one file from another. It is reliable only while the file is open or mapped: the numbers of a
 * deleted file are given to a new one.
 */
export type FileIdentity = Pick<FileStatus, "device" | "inode">;

export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.inode === other.inode && one.device === other.device;
}

/** True if the name leads to this very file. The caller keeps the file open during the call. */
export function leadsTo(storage: Storage, path: string, file: FileIdentity): boolean {
  const named = storage.statusOrNull(path);
  return named !== null && isSameFile(named, file);
}

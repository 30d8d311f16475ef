/** Which file a name leads to, by device and inode. */

import type { FileStatus, Storage } from "./storage.ts";

/**
 * What tells one file from another. Only a file that is open, or mapped, keeps its own: the numbers of
 * one that is gone are given to the next.
 */
export type FileIdentity = Pick<FileStatus, "device" | "inode">;

export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.inode === other.inode && one.device === other.device;
}

/** True where the name leads to this very file, which is open meanwhile. */
export function leadsTo(storage: Storage, path: string, file: FileIdentity): boolean {
  const named = storage.statusOrNull(path);
  return named !== null && isSameFile(named, file);
}

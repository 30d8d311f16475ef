/**
 * Durable publish: the one order in which a finished file becomes visible under its name and stays
 * there after a power cut: sync the file, give it the name, sync the directory. A failure of any
 * step is an error; nothing is tried again.
 */

import { dirname } from "node:path/posix";
import { hasCode } from "./failures.ts";
import type { Storage, StoredFile } from "./storage.ts";

/** A path without the slashes at its end, so that another name can be made from it; `/` stays. */
export function trimSlashes(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

/** Syncs `file` (open under `temporaryPath`), renames it over `path`, and syncs the directory. */
export function publishFile(
  storage: Storage,
  file: StoredFile,
  { temporaryPath, path }: { readonly temporaryPath: string; readonly path: string },
): void {
  file.sync();
  storage.rename(temporaryPath, path);
  storage.syncDirectory(dirname(path));
}

/** As `publishFile`, but by hard link: EEXIST where the name is taken, and nothing is replaced. */
export function publishNewFile(
  storage: Storage,
  file: StoredFile,
  { temporaryPath, path }: { readonly temporaryPath: string; readonly path: string },
): void {
  file.sync();
  storage.link(temporaryPath, path);
  storage.unlink(temporaryPath);
  storage.syncDirectory(dirname(path));
}

/** Makes a directory with its missing parents; each new entry is made durable in its parent. */
export function makeDirectories(storage: Storage, path: string, mode: number): void {
  if (storage.statusOrNull(path)?.kind === "directory") return;
  const parent = dirname(path);
  if (parent !== path) {
    if (storage.statusOrNull(parent)?.kind === "directory") syncName(storage, parent);
    else makeDirectories(storage, parent, mode);
  }
  try {
    storage.makeDirectory(path, mode);
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (storage.statusOrNull(path)?.kind !== "directory") throw error;
  }
  storage.syncDirectory(parent);
}

/**
 * Makes the name of `path` durable in its parent, for one who did not make it himself: its maker may have
 * been killed before he synced it. A parent that we may not look into was not written to by one of us
 * either, and one on a file system that knows no sync of directories never will be.
 */
export function syncName(storage: Storage, path: string): void {
  try {
    storage.syncDirectory(dirname(path));
  } catch (error) {
    if (!hasCode(error, "EACCES", "EPERM", "EINVAL", "EROFS")) throw error;
  }
}

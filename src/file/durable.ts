/**
 * Durable publish: a finished file becomes visible under its name, and stays there after a power cut. The
 * order is always the same: sync the file, give it the name, sync the directory. A failed step is an error
 * and is not tried again.
 */

import { dirname } from "node:path/posix";
import { nullIfCode } from "./failures.ts";
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

/** As `publishFile`, but by hard link: EEXIST if the name is taken, and nothing is replaced. */
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
    // Another process may have created it first.
    if (storage.statusOrNull(path)?.kind !== "directory") throw error;
  }
  storage.syncDirectory(parent);
}

/**
 * Syncs the parent directory of a file that another process may have created: that process may have been
 * killed before its sync. A parent that cannot be read is skipped: no countd of this user wrote to it. So
 * is a parent on a file system without syncs of directories.
 */
export function syncName(storage: Storage, path: string): void {
  nullIfCode(() => storage.syncDirectory(dirname(path)), "EACCES", "EPERM", "EINVAL", "EROFS");
}

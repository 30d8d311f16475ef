/** The directory that a file system makes for itself at its top. */

import { basename } from "node:path/posix";
import { nullIfCode } from "./failures.ts";
import type { Storage } from "./storage.ts";

/**
 * True for a directory `lost+found` that holds nothing for this user: it is empty, or only root may list it.
 * A directory of that name may also be one of the user's own. Throws `OsError`.
 */
export function isLostAndFound(storage: Storage, path: string): boolean {
  if (basename(path) !== "lost+found" || storage.statusOrNull(path)?.kind !== "directory") {
    return false;
  }
  return nullIfCode(() => storage.readDirectory(path).length === 0, "EACCES") ?? true;
}

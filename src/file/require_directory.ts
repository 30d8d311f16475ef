/** Refuses a path at which something else than a directory exists. */

import { dirname } from "node:path/posix";
import { FailedError } from "../base/errors.ts";
import { trimSlashes } from "./durable.ts";
import type { Storage } from "./storage.ts";

/**
 * Throws `FailedError` if the path, or a part of it, is something else than a directory. A directory passes,
 * and so does a missing one. Without this check the errors of the system would not say that a name is
 * wrong: they are ENOTDIR, ENOENT or EEXIST.
 */
export function requireDirectory(storage: Storage, path: string): void {
  for (let place = trimSlashes(path);;) {
    const status = storage.statusOrNull(place);
    if (status?.kind === "directory") return;
    if (status !== null) {
      throw new FailedError(
        `${place} is not a directory: name another data directory, or move it away`,
      );
    }
    const above = trimSlashes(dirname(place));
    if (above === place) return;
    place = above;
  }
}

/** What stands in the place of a directory and is none. */

import { dirname } from "node:path/posix";
import { FailedError } from "../base/errors.ts";
import { trimSlashes } from "./durable.ts";
import type { Storage } from "./storage.ts";

/**
 * Throws `FailedError` where something else stands in the place of a directory, or on the way to it. A
 * directory, and nothing at all, are let pass: to the system both are ENOTDIR, ENOENT or EEXIST, which
 * tell nobody that a name is wrong.
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

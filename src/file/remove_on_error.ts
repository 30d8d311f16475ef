/** Removes files that a failed step has created, because nothing else would clean them up. */

import type { Storage } from "./storage.ts";

/** Runs a step that makes these files. If it throws, they are removed as far as possible. */
export function removeOnError<Result>(
  storage: Storage,
  paths: readonly string[],
  step: () => Result,
): Result {
  try {
    return step();
  } catch (error) {
    for (const path of paths) {
      try {
        if (storage.statusOrNull(path) !== null) storage.unlink(path);
      } catch {
        // The first error is the one to report.
      }
    }
    throw error;
  }
}

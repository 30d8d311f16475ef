/** Files that a step has made go again where it fails: nobody would ever come back for them. */

import type { Storage } from "../../file/mod.ts";

/** Runs a step that makes these files. Where it throws they are removed, as far as they can be. */
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
        // What went wrong first is what has to be told.
      }
    }
    throw error;
  }
}

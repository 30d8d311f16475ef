/**
 * Files that are in use while their `flock` is held, and that other processes remove once it is free.
 *
 * Invariant: a lock counts only if the name still leads to the locked file. So a maker that finds its new
 * file locked or removed makes another one, and a file is removed only by the process that holds it.
 */

import { BusyError } from "../base/errors.ts";
import { troubleOf } from "./failures.ts";
import { leadsTo } from "./identity.ts";
import type { Storage, StoredFile } from "./storage.ts";

/** How often a file is made again if another process removes it in the moment before it is locked. */
const ATTEMPTS_MAX = 100;

/** Locks an open file. Null, and the file is closed, if another process has its lock or its name. */
export function holdOrNull(storage: Storage, file: StoredFile): StoredFile | null {
  let isHeld = false;
  try {
    isHeld = file.tryFlock("exclusive") && leadsTo(storage, file.path, file.status());
    return isHeld ? file : null;
  } finally {
    if (!isHeld) file.close();
  }
}

/** Opens and locks a file whose maker has ended. Null if it has not, or this user may not open the file. */
export function holdAbandoned(storage: Storage, path: string): StoredFile | null {
  const hold = () =>
    storage.statusOrNull(path)?.kind !== "file"
      ? null
      : holdOrNull(storage, storage.open(path, { access: "write" }));
  try {
    return hold();
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === "missing" || trouble === "closed") return null;
    throw error;
  }
}

/** Calls `make` until it does not return null, or throws `BusyError`. `what` completes its message. */
export function makeHeld<Made>(what: string, make: () => Made | null): Made {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const made = make();
    if (made !== null) return made;
  }
  throw new BusyError(`Cannot keep ${what}: another process removes it; try again`);
}

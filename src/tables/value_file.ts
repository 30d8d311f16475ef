/**
 * The file that a key's name stands for at this moment, and the lock on it.
 *
 * A value file is never changed once it has its name: writers replace it by another file or remove
 * it. So a lock means something only while the name still leads to the locked file, and every lock
 * here is followed by a second look at the name.
 *
 * Invariants
 * - Nothing here creates a file: locking a key can never bring it into being.
 * - While a `Hold` lasts, the name leads to the held file, and everybody who keeps the protocol
 *   (the flockd written in Go included) leaves it there.
 */

import { leadsTo, OsError, type Storage, type StoredFile } from "../file/mod.ts";
import { NotAValueError } from "./errors.ts";

/** What a try came to, besides success. */
export type Refusal =
  /** The name leads nowhere. */
  | "absent"
  /** Somebody else holds the lock. */
  | "held"
  /** The name leads elsewhere now: look again. */
  | "moved";

/** An exclusive lock on a value file. Ends with its scope. */
export class Hold implements Disposable {
  readonly #file: StoredFile;

  constructor(file: StoredFile) {
    this.#file = file;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Reads a whole value under a shared lock. Throws `OsError`, `NotAValueError`. */
export function tryRead(storage: Storage, path: string): Uint8Array | Refusal {
  const file = openValue(storage, path);
  if (file === null) return "absent";
  try {
    if (!file.tryFlock("shared")) return "held";
    // Only now: a foreign program may have written in place under its lock until this moment.
    const status = file.status();
    if (!leadsTo(storage, path, status)) return "moved";
    const bytes = new Uint8Array(status.size);
    const length = file.read(bytes, 0);
    return length === bytes.length ? bytes : bytes.subarray(0, length);
  } finally {
    file.close();
  }
}

/** Locks a value for replacing or removing it. Throws `OsError`, `NotAValueError`. */
export function tryHold(storage: Storage, path: string, directory: string): Hold | Refusal {
  let file: StoredFile | null;
  try {
    file = openValue(storage, path);
  } catch (error) {
    if (isCode(error, "EACCES")) return tryHoldUnreadable(storage, path, directory);
    throw error;
  }
  if (file === null) return "absent";
  let held = false;
  try {
    const status = file.status();
    if (!file.tryFlock("exclusive")) return "held";
    if (!leadsTo(storage, path, status)) return "moved";
    held = true;
    return new Hold(file);
  } finally {
    if (!held) file.close();
  }
}

/**
 * A value whose mode shuts its owner out cannot be opened, and so not be locked: whoever wants to
 * replace or remove it takes the lock of the table's directory instead. Everybody of this user comes
 * the same way, and the name cannot lead to a readable file again but through a holder.
 */
function tryHoldUnreadable(storage: Storage, path: string, directory: string): Hold | Refusal {
  const table = storage.open(directory, { access: "read" });
  let held = false;
  try {
    if (!table.tryFlock("exclusive")) return "held";
    try {
      openValue(storage, path)?.close();
      return "moved";
    } catch (error) {
      if (!isCode(error, "EACCES")) throw error;
    }
    held = true;
    return new Hold(table);
  } finally {
    if (!held) table.close();
  }
}

/** Null where there is nothing. Never opens a FIFO or a device, which could wait or act. */
function openValue(storage: Storage, path: string): StoredFile | null {
  const status = storage.statusOrNull(path);
  if (status === null) return null;
  if (status.kind !== "file") throw new NotAValueError(path);
  try {
    return storage.open(path, { access: "read" });
  } catch (error) {
    if (isCode(error, "ENOENT")) return null;
    throw error;
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof OsError && error.code === code;
}

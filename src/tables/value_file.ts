/**
 * The file that a key's name leads to at this moment, and the lock on it.
 *
 * A value file is never changed once it has its name: writers replace it by another file or remove
 * it. So a lock means something only while the name still leads to the locked file. Every lock here is
 * followed by a second check of the name.
 *
 * Invariants
 * - Nothing here creates a file: locking a key never creates it.
 * - While `tryHold` holds a file, the name leads to the held file, and every process that keeps the protocol
 *   (flockd included) leaves it there.
 */

import { hasCode, leadsTo, nullIfCode, type Storage, type StoredFile } from "../file/mod.ts";
import type { Refusal } from "./deadline.ts";
import { LongValueError, NotAValueError } from "./errors.ts";
import { VALUE_BYTES_MAX } from "./names.ts";

/** Open a value under a shared lock, which ends when it is closed. Throws `OsError`, `NotAValueError`. */
export function tryOpen(storage: Storage, path: string): StoredFile | Refusal {
  const opened = tryOpenSized(storage, path);
  return typeof opened === "string" ? opened : opened.file;
}

/** As `tryOpen`. The size is of a moment under the lock: until then another program may write in place. */
function tryOpenSized(
  storage: Storage,
  path: string,
): { readonly file: StoredFile; readonly size: number } | Refusal {
  using opened = new DisposableStack();
  const file = opened.use(openValue(storage, path));
  if (file === null) return "absent";
  if (!file.tryFlock("shared")) return "held";
  const status = file.status();
  if (!leadsTo(storage, path, status)) return "moved";
  opened.move();
  return { file, size: status.size };
}

/** Read a whole value under a shared lock. Throws `OsError`, `NotAValueError`, `LongValueError`. */
export function tryRead(storage: Storage, path: string): Uint8Array | Refusal {
  const opened = tryOpenSized(storage, path);
  if (typeof opened === "string") return opened;
  using file = opened.file;
  const { size } = opened;
  if (size > VALUE_BYTES_MAX) throw new LongValueError(path, size);
  const bytes = new Uint8Array(size);
  const length = file.read(bytes, 0);
  return length === bytes.length ? bytes : bytes.subarray(0, length);
}

/** Lock a value, to replace or remove it, until it is disposed. Throws `OsError`, `NotAValueError`. */
export function tryHold(storage: Storage, path: string, directory: string): Disposable | Refusal {
  using opened = new DisposableStack();
  const found = nullIfCode(() => ({ file: opened.use(openValue(storage, path)) }), "EACCES");
  if (found === null) return tryHoldUnreadable(storage, path, directory);
  const { file } = found;
  if (file === null) return "absent";
  if (!file.tryFlock("exclusive")) return "held";
  if (!leadsTo(storage, path, file.status())) return "moved";
  return opened.move();
}

/**
 * Lock the table's directory in place of a value that its owner may not read: such a file cannot be
 * opened, and so not be locked. Every process of this user does the same. Only a process that holds that
 * lock can make the name lead to a readable file again.
 */
function tryHoldUnreadable(
  storage: Storage,
  path: string,
  directory: string,
): Disposable | Refusal {
  using opened = new DisposableStack();
  const table = opened.use(storage.open(directory, { access: "read", kind: "directory" }));
  if (!table.tryFlock("exclusive")) return "held";
  const canOpen = () => {
    openValue(storage, path)?.close();
    return true;
  };
  if (nullIfCode(canOpen, "EACCES")) return "moved";
  return opened.move();
}

/** Open a value; null if it does not exist. Opening waits for nothing and refuses what is not a file. */
function openValue(storage: Storage, path: string): StoredFile | null {
  try {
    return storage.open(path, { access: "read" });
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return null;
    if (hasCode(error, "EISDIR", "ENXIO", "ELOOP")) throw new NotAValueError(path);
    throw error;
  }
}

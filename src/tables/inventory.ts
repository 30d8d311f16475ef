/**
 * What is below a directory of tables, as it lies, for a copy of all of it: also the files that no call
 * reaches. Names and kinds alone decide, so it may run while other processes write.
 */

import type { Clock } from "../base/clock.ts";
import { type FileStatus, nullIfCode, type Storage, type StoredFile } from "../file/mod.ts";
import { retryUntilDeadline } from "./deadline.ts";
import {
  isForeignTemporaryName,
  keyOfFileName,
  tableOfDirectory,
  TEMPORARY_DIRECTORY,
  VALUE_SUFFIX,
} from "./names.ts";
import { tryOpen } from "./value_file.ts";
import { type Found, walkTables } from "./walk.ts";

/** A file or a directory below the root of the tables. */
export interface Inventoried {
  /** Path below the root. */
  readonly below: string;
  /** What it is, through symbolic links. */
  readonly kind: FileStatus["kind"];
  /** True for the value of a key. */
  readonly isValue: boolean;
}

/**
 * List every file and directory below the directory of tables `root`, a directory before what is in it.
 * Values that are being written do not count: they have no name yet. Empty if `root` does not exist. What
 * cannot be opened is given to `onClosed`. Throws `OsError`.
 */
export function inventory(
  storage: Storage,
  root: string,
  onClosed: (path: string) => void,
): Inventoried[] {
  const found: Inventoried[] = [];
  const visit = ({ name, below, parent, status: { kind }, isCircle }: Found) => {
    if (isCircle) return false;
    const isInTable = parent === "" || tableOfDirectory(parent) !== null;
    const isTemporary = name === TEMPORARY_DIRECTORY ||
      kind === "file" && isForeignTemporaryName(name);
    if (isInTable && isTemporary) return false;
    const isValue = isInTable && kind === "file" && keyOfFileName(name) !== null;
    found.push({ below, kind, isValue });
    return true;
  };
  walkTables(storage, root, visit, undefined, onClosed);
  return found;
}

/**
 * Open a file below a root of tables for a copy. What has the name of a value gets a shared lock: no program
 * that keeps flockd's protocol changes it until it is closed. A lock on another file is its program's own.
 * Null if it is gone. Throws `LockDeadlineError`, `NotAValueError`, `OsError`.
 */
export async function openToCopy(
  storage: Storage,
  path: string,
  { clock, lockTimeoutMs }: { readonly clock: Clock; readonly lockTimeoutMs: number },
): Promise<StoredFile | null> {
  if (!path.endsWith(VALUE_SUFFIX)) {
    return nullIfCode(() => storage.open(path, { access: "read" }), "ENOENT");
  }
  const attempt = () => tryOpen(storage, path);
  return await retryUntilDeadline({ path, clock, lockTimeoutMs }, attempt, () => true);
}

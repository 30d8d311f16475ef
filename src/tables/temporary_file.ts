/**
 * Values before they have their name. A temporary file lives in a directory of its own inside the
 * table, is locked by its writer from just after its birth until the value is published, and is swept
 * away when its writer is gone.
 *
 * Invariants
 * - Nobody but its writer removes a temporary file whose lock is held.
 * - The lock goes with the file under its new name: a reader of a fresh value waits until the value
 *   is durable, so what was read once is not lost to a power cut.
 */

import { BusyError } from "../base/errors.ts";
import { leadsTo, type Storage, type StoredFile } from "../file/mod.ts";
import { isTemporaryName, newTemporaryName, TEMPORARY_DIRECTORY } from "./names.ts";
import { isCode } from "./value_file.ts";

/** Permission bits of value files and table directories. */
export const VALUE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

/** How often a writer starts again when a sweeper caught its file in the moment before the lock. */
const ATTEMPTS_MAX = 100;

/** A complete value without a name. Removed at the end of its scope unless it was published. */
export class TemporaryFile implements Disposable {
  readonly #storage: Storage;
  readonly #file: StoredFile;
  #isNamed = false;

  constructor(storage: Storage, file: StoredFile) {
    this.#storage = storage;
    this.#file = file;
  }

  /** Gives the value its name, in the place of what had it. */
  replace(path: string): void {
    this.#storage.reach("table.rename.before");
    this.#storage.rename(this.#file.path, path);
    this.#isNamed = true;
    this.#storage.reach("table.rename.after");
  }

  /** Gives the value its name; false where the name is taken. */
  publishNew(path: string): boolean {
    this.#storage.reach("table.link.before");
    try {
      this.#storage.link(this.#file.path, path);
    } catch (error) {
      if (isCode(error, "EEXIST")) return false;
      throw error;
    }
    this.#storage.reach("table.link.after");
    this.#storage.unlink(this.#file.path);
    this.#isNamed = true;
    return true;
  }

  [Symbol.dispose](): void {
    try {
      if (!this.#isNamed) this.#storage.unlink(this.#file.path);
    } catch {
      // The call already fails for its own reason; the file is swept once its lock is gone.
    } finally {
      this.#file.close();
    }
  }
}

/**
 * Writes a value into a new, locked temporary file of a table. ENOENT where the table's directory is
 * not there.
 */
export function writeTemporary(
  storage: Storage,
  directory: string,
  { value, sync }: { readonly value: Uint8Array; readonly sync: boolean },
): TemporaryFile {
  const file = createLocked(storage, `${directory}/${TEMPORARY_DIRECTORY}`);
  const temporary = new TemporaryFile(storage, file);
  try {
    storage.reach("table.write.before");
    file.write(value, 0);
    storage.reach("table.write.after");
    if (sync) file.syncData();
    storage.reach("table.sync.after");
    return temporary;
  } catch (error) {
    temporary[Symbol.dispose]();
    throw error;
  }
}

/** A new file whose lock is ours and whose name still leads to it. */
function createLocked(storage: Storage, directory: string): StoredFile {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const path = `${directory}/${newTemporaryName()}`;
    const file = openNew(storage, path, directory);
    let ours = false;
    try {
      ours = file.tryFlock("exclusive") && leadsTo(storage, path, file.status());
      if (ours) return file;
    } finally {
      if (!ours) file.close();
    }
  }
  throw new BusyError(`Cannot keep a temporary file in ${directory}: others remove it; try again`);
}

function openNew(storage: Storage, path: string, directory: string): StoredFile {
  const options = { access: "write", create: "exclusive", mode: VALUE_MODE } as const;
  try {
    return storage.open(path, options);
  } catch (error) {
    if (!isCode(error, "ENOENT")) throw error;
  }
  try {
    storage.makeDirectory(directory, DIRECTORY_MODE);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
  }
  return storage.open(path, options);
}

/** Removes what dead writers left in a table. Returns how many files. */
export function sweepTemporaries(storage: Storage, directory: string): number {
  const place = `${directory}/${TEMPORARY_DIRECTORY}`;
  if (storage.statusOrNull(place)?.kind !== "directory") return 0;
  let swept = 0;
  for (const name of storage.readDirectory(place)) {
    if (isTemporaryName(name) && sweepOne(storage, `${place}/${name}`)) swept++;
  }
  return swept;
}

/** A free lock means that the writer is gone: a living one has it, or looks again after taking it. */
function sweepOne(storage: Storage, path: string): boolean {
  let file: StoredFile;
  try {
    file = storage.open(path, { access: "read" });
  } catch (error) {
    if (isCode(error, "ENOENT") || isCode(error, "EACCES")) return false;
    throw error;
  }
  try {
    if (!file.tryFlock("exclusive") || !leadsTo(storage, path, file.status())) return false;
    storage.unlink(path);
    return true;
  } finally {
    file.close();
  }
}

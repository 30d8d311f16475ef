/**
 * Values before they have their name. A temporary file is in a directory of its own inside the table. Its
 * writer locks it just after it was created, until the value is published. It is removed when its writer
 * is dead.
 *
 * Invariants
 * - Only its writer removes a temporary file whose lock is held.
 * - The lock stays with the file under its new name: a reader of a fresh value waits until the value
 *   is durable, so a value that has been read survives a power cut.
 */

import { assert } from "../base/assert.ts";
import { undoOnError } from "../base/undo_on_error.ts";
import {
  holdAbandoned,
  holdOrNull,
  makeHeld,
  nullIfCode,
  type Storage,
  type StoredFile,
} from "../file/mod.ts";
import { isTemporaryName, newTemporaryName, TEMPORARY_DIRECTORY } from "./names.ts";

/** Permission bits of value files and table directories. */
export const VALUE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

/** A complete value without a name. Removed at the end of its scope unless it was published. */
export class TemporaryFile implements Disposable {
  readonly #storage: Storage;
  readonly #file: StoredFile;
  #isNamed = false;

  constructor(storage: Storage, file: StoredFile) {
    this.#storage = storage;
    this.#file = file;
  }

  /** Give the value its name, in place of the file that had it. */
  replace(path: string): void {
    this.#assertNameless();
    this.#storage.reach("table.rename.before");
    this.#storage.rename(this.#file.path, path);
    this.#isNamed = true;
    this.#storage.reach("table.rename.after");
  }

  /** Give the value its name. Returns false, and does nothing, if the name is taken. */
  publishNew(path: string): boolean {
    this.#assertNameless();
    this.#storage.reach("table.link.before");
    const linked = nullIfCode(() => this.#storage.link(this.#file.path, path), "EEXIST");
    if (linked === null) return false;
    this.#storage.reach("table.link.after");
    this.#storage.unlink(this.#file.path);
    this.#isNamed = true;
    return true;
  }

  #assertNameless(): void {
    assert(!this.#isNamed, "A value gets its name once, while its file is still its own");
  }

  [Symbol.dispose](): void {
    try {
      if (!this.#isNamed) this.#storage.unlink(this.#file.path);
    } catch {
      // The call already fails for its own reason; the file is swept once its lock is released.
    } finally {
      this.#file.close();
    }
  }
}

/**
 * Write a value into a new, locked temporary file of a table. ENOENT if the table's directory does not
 * exist.
 */
export function writeTemporary(
  storage: Storage,
  directory: string,
  { value, sync }: { readonly value: Uint8Array; readonly sync: boolean },
): TemporaryFile {
  const place = `${directory}/${TEMPORARY_DIRECTORY}`;
  const file = makeHeld(
    `a temporary file in ${place}`,
    () => holdOrNull(storage, openNew(storage, `${place}/${newTemporaryName()}`, place)),
  );
  const temporary = new TemporaryFile(storage, file);
  return undoOnError(() => temporary[Symbol.dispose](), () => {
    storage.reach("table.write.before");
    file.write(value, 0);
    storage.reach("table.write.after");
    if (sync) file.syncData();
    storage.reach("table.sync.after");
    return temporary;
  });
}

function openNew(storage: Storage, path: string, directory: string): StoredFile {
  const options = { access: "write", create: "exclusive", mode: VALUE_MODE } as const;
  const file = nullIfCode(() => storage.open(path, options), "ENOENT");
  if (file !== null) return file;
  nullIfCode(() => storage.makeDirectory(directory, DIRECTORY_MODE), "EEXIST");
  return storage.open(path, options);
}

/** Remove what dead writers left in a table. Returns how many files. */
export function sweepTemporaries(storage: Storage, directory: string): number {
  const place = `${directory}/${TEMPORARY_DIRECTORY}`;
  if (storage.statusOrNull(place)?.kind !== "directory") return 0;
  let swept = 0;
  for (const name of storage.readDirectory(place)) {
    // A free lock means a dead writer: a living one holds it, or checks the name after taking it.
    using file = isTemporaryName(name) ? holdAbandoned(storage, `${place}/${name}`) : null;
    if (file === null) continue;
    storage.unlink(file.path);
    swept++;
  }
  return swept;
}

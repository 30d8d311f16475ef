/**
 * The writing side of one keyspace: its file, and the steps of a fold on it. The numbers are those of Fold
 * in the README of `worker`.
 *
 *     apply (3) ─▶ syncPages (4, sync A) ─▶ publish (5) ─▶ syncMeta (6, sync B)
 *
 * The steps are separate because a fold takes many keyspaces through each of them before the next. Then A
 * and B are one sync of the file system each, and not one of every file.
 *
 * Invariant: a keyspace gets its name in the directory only after valid content is on disk.
 */

import { Buffer } from "node:buffer";
import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import { isFormatError } from "../../base/format.ts";
import { printableName } from "../../base/printable.ts";
import {
  type FileIdentity,
  isClosedToUs,
  isReadFailure,
  leadsTo,
  type Storage,
  type StoredFile,
} from "../../file/mod.ts";
import { type AppliedGenerations, type ApplyResult, type Batch, TreeWriter } from "../tree/mod.ts";
import { keyspacePath, temporaryPath } from "./catalog.ts";
import { notRegular } from "./reader.ts";

/**
 * With a million counters, pages of 4, 8 and 16 KiB fold and answer equally fast, within 10 %. Each halving
 * of the page size halves the bytes that small batches write, and doubles the memory for branches.
 */
export const DEFAULT_PAGE_SIZE = 8192;

export class KeyspaceWriter implements Disposable {
  readonly path: string;
  readonly #identity: FileIdentity;
  readonly #storage: Storage;
  readonly #file: StoredFile;
  readonly #tree: TreeWriter;
  /** Not null until a new keyspace has its name. */
  #temporaryPath: string | null;

  private constructor(
    storage: Storage,
    file: StoredFile,
    { tree, path, temporary }: {
      readonly tree: TreeWriter;
      readonly path: string;
      readonly temporary: string | null;
    },
  ) {
    this.#storage = storage;
    this.#file = file;
    this.#tree = tree;
    this.path = path;
    this.#identity = file.status();
    this.#temporaryPath = temporary;
  }

  /**
   * Opens a keyspace, or begins a new one, which gets its name when it is first published. Only for the
   * holder of the fold lease. Throws `CorruptError` for a damaged file, and for anything but a regular
   * file, because opening a FIFO could wait forever; `NewerFormatError` and `OldFormatError`.
   */
  static open(
    storage: Storage,
    directory: string,
    name: Uint8Array,
    { pageSize = DEFAULT_PAGE_SIZE }: { readonly pageSize?: number } = {},
  ): KeyspaceWriter {
    const path = keyspacePath(directory, name);
    const found = storage.statusOrNull(path);
    if (found !== null && found.kind !== "file") throw notRegular(path);
    const isNew = found === null;
    const temporary = isNew ? temporaryPath(directory, name) : null;
    if (temporary !== null && storage.statusOrNull(temporary) !== null) storage.unlink(temporary);
    const file = temporary === null
      ? storage.open(path, { access: "write" })
      : storage.open(temporary, { access: "write", create: "exclusive", mode: 0o600 });
    try {
      const tree = isNew ? TreeWriter.format(file, { name, pageSize }) : TreeWriter.open(file);
      if (Buffer.compare(tree.name, name) !== 0) throw foreignFile(path, tree.name, name);
      return new KeyspaceWriter(storage, file, { tree, path, temporary });
    } catch (error) {
      file.close();
      if (temporary !== null) storage.unlink(temporary);
      throw error;
    }
  }

  get name(): Uint8Array {
    return this.#tree.name;
  }

  /** The file system that the file is on. */
  get device(): bigint {
    return this.#identity.device;
  }

  /** Whether the keyspace has no name in the directory yet. */
  get isNew(): boolean {
    return this.#temporaryPath !== null;
  }

  get transaction(): number {
    return this.#tree.transaction;
  }

  /** Counters in the published state. */
  get total(): number {
    return this.#tree.total;
  }

  /** How often, ever, a sum was clamped to a limit of int64. */
  get saturated(): bigint {
    return this.#tree.saturated;
  }

  /** The applied generation of a log slot: the greatest that is in the counters; 0 if none is. */
  applied(slot: number): bigint {
    return this.#tree.applied(slot);
  }

  /**
   * Whether the keyspace's name still leads to this file, and no other process has written it since it was
   * opened. If false, close this writer and open the name anew.
   */
  isInPlace(): boolean {
    try {
      if (this.#temporaryPath !== null) {
        return leadsTo(this.#storage, this.#temporaryPath, this.#identity) &&
          this.#storage.statusOrNull(this.path) === null;
      }
      return leadsTo(this.#storage, this.path, this.#identity) && this.#tree.isUnchanged();
    } catch (error) {
      // The cause is reported when the name is opened anew.
      const isGone = error instanceof CorruptError || isFormatError(error) ||
        isClosedToUs(error) || isReadFailure(error);
      if (!isGone) throw error;
      return false;
    }
  }

  /**
   * Step 3: writes the pages of the next state. `generations` has the slot and generation of each log whose
   * records are in the batch; each must be greater than the applied one. The batch may be empty. After an
   * error (`OsError` for a full disk, `CorruptError`) the keyspace is as it was and can be used again.
   */
  apply(
    batch: Batch,
    generations: AppliedGenerations,
    { pinned = false }: { readonly pinned?: boolean } = {},
  ): ApplyResult {
    this.#storage.reach("fold.3.before");
    const result = this.#tree.apply(batch, generations, { pinned });
    this.#storage.reach("fold.3.after");
    return result;
  }

  /** Step 4, sync A of this file alone. */
  syncPages(): void {
    this.#storage.reach("fold.4.before");
    this.#file.syncData();
    this.#storage.reach("fold.4.after");
  }

  /** Step 5: publishes the pages, which must be on disk. A new keyspace is synced and gets its name. */
  publish(): void {
    this.#storage.reach("fold.5.before");
    this.#tree.publish(() => this.#storage.reach("fold.5.between"));
    if (this.#temporaryPath !== null) {
      this.#file.sync();
      this.#storage.reach("fold.5.rename");
      this.#storage.rename(this.#temporaryPath, this.path);
      this.#temporaryPath = null;
    }
    this.#storage.reach("fold.5.after");
  }

  /** Step 6, sync B of this file alone. The caller syncs the directory if the keyspace was new. */
  syncMeta(): void {
    this.#storage.reach("fold.6.before");
    this.#file.syncData();
    this.#storage.reach("fold.6.after");
  }

  /**
   * Returns space that the file does not need now to the system. Returns the bytes. For a keyspace that
   * rests, and not while a backup has pinned the directory.
   */
  trim(): number {
    return this.#tree.trim();
  }

  /** Rolls back what was applied and not published. */
  rollBack(): void {
    this.#tree.rollBack();
  }

  /** Closes the file, and removes a keyspace that was never published. */
  close(): void {
    this.#file.close();
    if (this.#temporaryPath === null) return;
    const isThere = this.#storage.statusOrNull(this.#temporaryPath) !== null;
    if (isThere) this.#storage.unlink(this.#temporaryPath);
    this.#temporaryPath = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The error for a file that has the name of one keyspace and holds another. */
export function foreignFile(path: string, found: Uint8Array, wanted: Uint8Array): CorruptError {
  assert(Buffer.compare(found, wanted) !== 0, "A foreign file has another name");
  return new CorruptError(
    `Keyspace file ${path} holds keyspace ${printableName(found)}, not ${printableName(wanted)}`,
    { path, offset: 0 },
  );
}

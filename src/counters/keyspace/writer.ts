/**
 * The writing side of one keyspace: its file, and the steps of a fold on it (DESIGN's protocol, "Fold").
 *
 *     apply (3) ─▶ syncPages (4, sync A) ─▶ publish (5) ─▶ syncMeta (6, sync B)
 *
 * The steps stand apart because a fold takes many keyspaces through each of them before the next: then
 * A and B are a sync each of the file system, not of every file.
 *
 * Invariant: a keyspace has its name in the directory only with a valid content that is on disk.
 */

import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
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
import { compareNames, keyspacePath, temporaryPath } from "./catalog.ts";

/**
 * With a million counters 4, 8 and 16 KiB fold and answer alike (within a tenth); small batches write half
 * as many bytes with each halving, and the memory of branches doubles.
 */
export const DEFAULT_PAGE_SIZE = 8192;

export class KeyspaceWriter implements Disposable {
  readonly path: string;
  readonly #identity: FileIdentity;
  readonly #storage: Storage;
  readonly #file: StoredFile;
  readonly #tree: TreeWriter;
  /** Set until a new keyspace has its name. */
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
   * Opens a keyspace, or begins one that does not exist: it gets its name when it is first published.
   * Only for the process that holds the fold lease. Throws `CorruptError` for a damaged file, and for what
   * is no file: to open a FIFO could wait for ever.
   */
  static open(
    storage: Storage,
    directory: string,
    name: Uint8Array,
    { pageSize = DEFAULT_PAGE_SIZE }: { readonly pageSize?: number } = {},
  ): KeyspaceWriter {
    const path = keyspacePath(directory, name);
    const found = storage.statusOrNull(path);
    if (found !== null && found.kind !== "file") throw noFile(path);
    const isNew = found === null;
    const temporary = isNew ? temporaryPath(directory, name) : null;
    if (temporary !== null && storage.statusOrNull(temporary) !== null) storage.unlink(temporary);
    const file = temporary === null
      ? storage.open(path, { access: "write" })
      : storage.open(temporary, { access: "write", create: "exclusive", mode: 0o600 });
    try {
      const tree = isNew ? TreeWriter.format(file, { name, pageSize }) : TreeWriter.open(file);
      if (compareNames(tree.name, name) !== 0) throw foreignFile(path, tree.name, name);
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

  /** How often, ever, a sum was held at a limit of int64. */
  get saturated(): bigint {
    return this.#tree.saturated;
  }

  /** The greatest generation of a log slot that is in the counters; 0 when none is. */
  applied(slot: number): bigint {
    return this.#tree.applied(slot);
  }

  /**
   * Whether what was written here will be found under the keyspace's name: nobody removed the file, put
   * another in its place or wrote over it since it was opened. If not, close this and open the name anew.
   */
  isInPlace(): boolean {
    try {
      if (this.#temporaryPath !== null) {
        return leadsTo(this.#storage, this.#temporaryPath, this.#identity) &&
          this.#storage.statusOrNull(this.path) === null;
      }
      return leadsTo(this.#storage, this.path, this.#identity) && this.#tree.isUnchanged();
    } catch (error) {
      // What is wrong is told when the name is opened.
      const isGone = error instanceof CorruptError || isClosedToUs(error) || isReadFailure(error);
      if (!isGone) throw error;
      return false;
    }
  }

  /**
   * Step 3: writes the pages of the next state. `marks` are the logs whose shares the batch holds; each
   * must be newer than what is applied. The batch may be empty. On any error (`OsError` for a full disk,
   * `CorruptError`) the keyspace is as it was and can go on.
   */
  apply(
    batch: Batch,
    generations: AppliedGenerations,
    { pinned = false }: { readonly pinned?: boolean } = {},
  ): ApplyResult {
    this.#storage.reach("fold.3.before");
    const figures = this.#tree.apply(batch, generations, { pinned });
    this.#storage.reach("fold.3.after");
    return figures;
  }

  /** Step 4, sync A of this file alone. */
  syncPages(): void {
    this.#storage.reach("fold.4.before");
    this.#file.syncData();
    this.#storage.reach("fold.4.after");
  }

  /** Step 5: the pages must be on disk. A new keyspace is synced and gets its name. */
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

  /** Step 6, sync B of this file alone. The caller syncs the directory when a keyspace was new. */
  syncMeta(): void {
    this.#storage.reach("fold.6.before");
    this.#file.syncData();
    this.#storage.reach("fold.6.after");
  }

  /**
   * Gives space that the file does not need now back to the system; returns the bytes. For a keyspace
   * that rests, and not while a backup has pinned the directory.
   */
  trim(): number {
    return this.#tree.trim();
  }

  /** Forgets what was applied and not published. */
  rollBack(): void {
    this.#tree.rollBack();
  }

  /** Closes the file; a keyspace that was never published is gone. */
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

function noFile(path: string): CorruptError {
  return new CorruptError(`Keyspace ${path} is not a regular file: move it away`, {
    path,
    offset: 0,
  });
}

/** A file under the name of one keyspace that says it is another. */
export function foreignFile(path: string, found: Uint8Array, wanted: Uint8Array): CorruptError {
  assert(compareNames(found, wanted) !== 0, "A foreign file has another name");
  return new CorruptError(
    `Keyspace file ${path} holds keyspace ${printableName(found)}, not ${printableName(wanted)}`,
    { path, offset: 0 },
  );
}

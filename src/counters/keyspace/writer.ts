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
  concernsOneFile,
  type FileStatus,
  hasCode,
  leadsTo,
  nullIfCode,
  type Storage,
  type StoredFile,
} from "../../file/mod.ts";
import { type AppliedGenerations, type ApplyResult, type Batch, TreeWriter } from "../tree/mod.ts";
import { keyspacePath, temporaryPath } from "./catalog.ts";
import { DraftFile } from "./draft_file.ts";
import { notRegular } from "./reader.ts";

/**
 * With a million counters, pages of 4, 8 and 16 KiB fold and answer equally fast, within 10 %. Each halving
 * of the page size halves the bytes that small batches write, and doubles the memory for branches.
 */
export const DEFAULT_PAGE_SIZE = 8192;
/** So a keyspace of a few counters fits 8 KiB. */
const SMALL_PAGE_SIZE = 1024;

/** The codes of a name that leads nowhere. */
const MISSING = ["ENOENT", "ENOTDIR"] as const;

/** An open file of the keyspace. */
interface OpenTree {
  readonly file: StoredFile;
  readonly identity: FileStatus;
  readonly tree: TreeWriter;
  /** Set until the file has the name of the keyspace. */
  readonly unnamed: { readonly path: string; readonly draft: DraftFile } | null;
}

export class KeyspaceWriter implements Disposable {
  readonly path: string;
  readonly #storage: Storage;
  readonly #directory: string;
  /** The page size of the file that replaces a small one; null if the file keeps its page size. */
  readonly #grownPageSize: number | null;
  #current: OpenTree;
  /** What replaces the current file when it is published: the same counters in larger pages. */
  #grown: OpenTree | null = null;

  private constructor(
    storage: Storage,
    directory: string,
    { current, path, pageSize }: {
      readonly current: OpenTree;
      readonly path: string;
      readonly pageSize: number | undefined;
    },
  ) {
    this.#storage = storage;
    this.#directory = directory;
    this.#current = current;
    this.path = path;
    this.#grownPageSize = pageSize === undefined ? DEFAULT_PAGE_SIZE : null;
  }

  /**
   * Opens a keyspace, or begins a new one, which gets its name when it is first published. Without a page
   * size a keyspace has small pages until it outgrows them. Only for the holder of the fold lease. Throws
   * `CorruptError` for a damaged file, and for anything but a regular file, because opening a FIFO could wait
   * forever; `NewerFormatError` and `OldFormatError`.
   */
  static open(
    storage: Storage,
    directory: string,
    name: Uint8Array,
    { pageSize }: { readonly pageSize?: number } = {},
  ): KeyspaceWriter {
    const options = { pageSize };
    return KeyspaceWriter.openOrNull(storage, directory, name, options) ??
      KeyspaceWriter.create(storage, directory, name, options);
  }

  /** Begins a new keyspace. If its name is taken, the writer is not in place when it is published. */
  static create(
    storage: Storage,
    directory: string,
    name: Uint8Array,
    { pageSize }: { readonly pageSize?: number | undefined } = {},
  ): KeyspaceWriter {
    const current = makeTree(
      storage,
      temporaryPath(directory, name),
      (draft) => TreeWriter.format(draft, { name, pageSize: pageSize ?? SMALL_PAGE_SIZE }),
    );
    const path = keyspacePath(directory, name);
    return new KeyspaceWriter(storage, directory, { current, path, pageSize });
  }

  /** As `open`, but null if the keyspace does not exist. */
  static openOrNull(
    storage: Storage,
    directory: string,
    name: Uint8Array,
    { pageSize }: { readonly pageSize?: number | undefined } = {},
  ): KeyspaceWriter | null {
    const path = keyspacePath(directory, name);
    const found = storage.statusOrNull(path);
    if (found === null) return null;
    if (found.kind !== "file") throw notRegular(path);
    // It may have been removed since: then it is as if it had not been there.
    const current = nullIfCode(() => openTree(storage, path, name), ...MISSING);
    if (current === null) return null;
    return new KeyspaceWriter(storage, directory, { current, path, pageSize });
  }

  get name(): Uint8Array {
    return this.#current.tree.name;
  }

  /** The file system that the file is on. */
  get device(): bigint {
    return this.#current.identity.device;
  }

  /** Whether the file that is published next has no name in the directory yet. */
  get isUnnamed(): boolean {
    return this.#target.unnamed !== null;
  }

  get transaction(): number {
    return this.#current.tree.transaction;
  }

  /** Counters in the published state. */
  get total(): number {
    return this.#current.tree.total;
  }

  /** How often, ever, a sum was clamped to a limit of int64. */
  get saturated(): bigint {
    return this.#current.tree.saturated;
  }

  /** The applied generation of a log slot: the greatest that is in the counters; 0 if none is. */
  applied(slot: number): bigint {
    return this.#current.tree.applied(slot);
  }

  /** The applied generations by slot, of as many slots as have one. They are not changed by later folds. */
  get generations(): Readonly<BigUint64Array> {
    return this.#current.tree.generations;
  }

  /** What is published next. */
  get #target(): OpenTree {
    return this.#grown ?? this.#current;
  }

  /**
   * Whether the keyspace's name still leads to this file, and no other process has written it since it was
   * opened. If false, close this writer and open the name anew.
   */
  isInPlace(): boolean {
    const { tree, identity, unnamed } = this.#current;
    try {
      if (unnamed !== null) {
        return leadsTo(this.#storage, unnamed.path, identity) &&
          this.#storage.statusOrNull(this.path) === null;
      }
      const { unnamed: grownUnnamed, identity: grown } = this.#target;
      return leadsTo(this.#storage, this.path, identity) && tree.isUnchanged() &&
        (grownUnnamed === null || leadsTo(this.#storage, grownUnnamed.path, grown));
    } catch (error) {
      // The cause is reported when the name is opened anew.
      const isGone = error instanceof CorruptError || isFormatError(error) ||
        concernsOneFile(error, "keyspace");
      if (!isGone) throw error;
      return false;
    }
  }

  /**
   * Step 3: writes the pages of the next state; all pages into a new file, if the keyspace outgrows small
   * ones. A file that has no name yet gets its meta blocks too: no process reads them before step 5, and sync A
   * covers them with the pages. `generations` has the slot and generation of each log whose records are in the batch; each must be
   * greater than the applied one. The batch may be empty. After an error (`OsError` for a full disk,
   * `CorruptError`) the keyspace is as it was and can be used again.
   */
  apply(
    batch: Batch,
    generations: AppliedGenerations,
    { pinned = false }: { readonly pinned?: boolean } = {},
  ): ApplyResult {
    this.#storage.reach("fold.3.before");
    try {
      const pageSize = this.#grownPageSize;
      // A file that a link leads to keeps its small pages: the new one would take the place of the link.
      const grows = pageSize !== null && this.#current.tree.isOutgrownBy(batch) &&
        !this.#storage.isLink(this.path);
      if (grows) this.#grow(pageSize);
      const { tree, unnamed } = this.#target;
      const result = tree.apply(batch, generations, { pinned });
      if (unnamed !== null) {
        tree.publish();
        unnamed.draft.writeOut();
      }
      this.#storage.reach("fold.3.after");
      return result;
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  /** Copies the keyspace into larger pages. A file without a name is replaced at once. The mode stays. */
  #grow(pageSize: number): void {
    const { tree, file, unnamed } = this.#current;
    const path = temporaryPath(this.#directory, this.name);
    const { mode } = file.status();
    const copy = makeTree(this.#storage, path, (draft) => tree.copyInto(draft, pageSize), mode);
    if (unnamed === null) this.#grown = copy;
    else {
      file.close();
      this.#current = copy;
    }
  }

  /** Step 4, sync A of this file alone. */
  syncPages(): void {
    this.#storage.reach("fold.4.before");
    const { file, unnamed } = this.#target;
    if (unnamed === null) file.syncData();
    else file.sync();
    this.#storage.reach("fold.4.after");
  }

  /** Step 5: publishes the pages, which must be on disk. A new file, which is on disk as a whole, gets its name. */
  publish(): void {
    this.#storage.reach("fold.5.before");
    const target = this.#target;
    const { tree, unnamed } = target;
    if (unnamed === null) tree.publish(() => this.#storage.reach("fold.5.between"));
    else {
      this.#storage.reach("fold.5.rename");
      this.#storage.rename(unnamed.path, this.path);
      if (this.#grown !== null) this.#current.file.close();
      this.#current = { ...target, unnamed: null };
      this.#grown = null;
    }
    this.#storage.reach("fold.5.after");
  }

  /** Step 6, sync B of this file alone. The caller syncs the directory if the file was unnamed. */
  syncMeta(): void {
    this.#storage.reach("fold.6.before");
    this.#current.file.syncData();
    this.#storage.reach("fold.6.after");
  }

  /**
   * Returns space that the file does not need now to the system. Returns the bytes. For a keyspace that
   * rests, and not while a backup has pinned the directory.
   */
  trim(): number {
    return this.#current.tree.trim();
  }

  /** Rolls back what was applied and not published. */
  rollBack(): void {
    if (this.#grown !== null) this.#remove(this.#grown);
    this.#grown = null;
    const { file, identity, tree, unnamed } = this.#current;
    if (unnamed === null) return tree.rollBack();
    // Its meta blocks may say already that the batch is in it.
    const { name, pageSize } = tree;
    const format = (draft: DraftFile) => TreeWriter.format(draft, { name, pageSize });
    this.#current = draftTree(file, { identity, path: unnamed.path, fill: format });
  }

  /** Closes the file, and removes what was never published. */
  close(): void {
    if (this.#grown !== null) this.#remove(this.#grown);
    this.#grown = null;
    this.#remove(this.#current);
  }

  /** Closes a file, and unlinks it unless it has the name of the keyspace. */
  #remove({ file, unnamed }: OpenTree): void {
    file.close();
    if (unnamed !== null) nullIfCode(() => this.#storage.unlink(unnamed.path), ...MISSING);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Makes a file under a temporary name, in place of what a process that was killed has left there. */
function makeTree(
  storage: Storage,
  path: string,
  fill: (draft: DraftFile) => TreeWriter,
  mode = 0o600,
): OpenTree {
  const options = { access: "write", create: "exclusive", mode } as const;
  let file: StoredFile;
  try {
    file = storage.open(path, options);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    nullIfCode(() => storage.unlink(path), ...MISSING);
    file = storage.open(path, options);
  }
  try {
    return draftTree(file, { identity: file.status(), path, fill });
  } catch (error) {
    file.close();
    storage.unlink(path);
    throw error;
  }
}

/** A tree in a file that is begun, or begun again. */
function draftTree(
  file: StoredFile,
  { identity, path, fill }: {
    readonly identity: FileStatus;
    readonly path: string;
    readonly fill: (draft: DraftFile) => TreeWriter;
  },
): OpenTree {
  const draft = new DraftFile(file, identity);
  return { file, identity, tree: fill(draft), unnamed: { path, draft } };
}

function openTree(storage: Storage, path: string, name: Uint8Array): OpenTree {
  const file = storage.open(path, { access: "write" });
  try {
    const identity = file.status();
    const tree = TreeWriter.open(file, identity.size);
    if (Buffer.compare(tree.name, name) !== 0) throw foreignFile(path, tree.name, name);
    return { file, identity, tree, unnamed: null };
  } catch (error) {
    file.close();
    throw error;
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

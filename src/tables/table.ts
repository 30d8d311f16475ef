/**
 * One table: keys are files, values their content.
 *
 * Invariants
 * 1. Every call takes effect at one instant between its start and its end (it is linearizable): see
 *    README.md, "How each call takes effect".
 * 2. With sync `always`, a value is complete and on disk before it gets its name. The name is on disk
 *    before the call returns.
 * 3. A call that throws `LockDeadlineError` or an error about names has changed nothing.
 */

import { dirname } from "node:path/posix";
import type { Clock } from "../base/clock.ts";
import {
  hasCode,
  leadsTo,
  makeDirectories,
  nullIfCode,
  type Storage,
  type StoredFile,
} from "../file/mod.ts";
import { MOVES_MAX, retryUntilDeadline } from "./deadline.ts";
import {
  KeyExistsError,
  KeyNotFoundError,
  NotADirectoryError,
  TableLostError,
  TableNotFoundError,
} from "./errors.ts";
import { keyOfFileName, tableDirectory, valueFileName } from "./names.ts";
import {
  DIRECTORY_MODE,
  sweepTemporaries,
  type TemporaryFile,
  writeTemporary,
} from "./temporary_file.ts";
import { tryHold, tryRead } from "./value_file.ts";
import { identity } from "./walk.ts";

/**
 * When a write is forced to disk. `always`: before the call returns. `os`: when the operating system
 * chooses to. With `os` a power cut may lose or empty values whose calls have returned; a killed process
 * loses nothing.
 */
export type TableSync = "always" | "os";

/** What all tables of a root share; see `TableRootOptions`. */
export interface TableSettings {
  /** The disk. */
  readonly storage: Storage;
  /** Times the waits for locks. */
  readonly clock: Clock;
  /** Directory of the root table, without a slash at its end. */
  readonly root: string;
  /** How long a call waits for a lock, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** When a write is forced to disk. */
  readonly sync: TableSync;
}

/** A key and its value. */
export interface Entry {
  /** The key. */
  readonly key: string;
  /** The whole value. */
  readonly value: Uint8Array;
}

/**
 * One table. Get one from `TableRoot.table`. Every call is linearizable: it takes effect at one instant
 * between its start and its end. A call that throws `LockDeadlineError`, or an error about names, has
 * changed nothing. A write that throws `OsError` may have taken effect, and may not survive a power cut. One that
 * throws `TableLostError` has taken effect in a directory that has lost its name since.
 */
export class Table {
  /** Directory of the values; made by the first `set` or `create`. */
  readonly directory: string;
  readonly #settings: TableSettings;
  readonly #storage: Storage;
  /** The directory (device and inode) that was found durable with all its parents, and swept. */
  #prepared = "";

  /** Made by `TableRoot.table`. Throws `InvalidTableError`. Touches no disk. */
  constructor(
    /** Name of the table; empty for the root table. */
    readonly name: string,
    settings: TableSettings,
  ) {
    const below = tableDirectory(name);
    this.directory = below === "" ? settings.root : `${settings.root}/${below}`;
    this.#settings = settings;
    this.#storage = settings.storage;
  }

  /**
   * Read the value of a key, under a shared lock. Throws `KeyNotFoundError` (also if the table does not
   * exist), `LockDeadlineError`, `InvalidKeyError`, `NotAValueError`, `LongValueError` above 1 GiB,
   * `NotADirectoryError`, `OsError`.
   */
  async get(key: string): Promise<Uint8Array> {
    return await this.#read(key) ?? this.#refuseMissing(key);
  }

  /**
   * Give a key a value, whether it had one or not. Makes the table if it does not exist. Throws
   * `LockDeadlineError`, `InvalidKeyError`, `NotAValueError`, `NotADirectoryError`, `TableLostError`, `OsError`.
   */
  async set(key: string, value: Uint8Array): Promise<void> {
    const path = this.#path(key);
    using temporary = this.#write(value);
    using names = this.#openNames();
    let lost = 0;
    const hold = await this.#hold(path, () => {
      if (temporary.publishNew(path)) return true;
      // A dangling link is absent to a call that opens it and present to one that creates it: replace
      // it. That is right for a key that exists too, because `set` depends on nothing that was there.
      if (++lost < MOVES_MAX) return false;
      temporary.replace(path);
      return true;
    });
    if (hold === null) return this.#syncNames(names);
    using _held = hold;
    temporary.replace(path);
    this.#syncNames(names);
  }

  /**
   * Create a key with its value. Makes the table if it does not exist. Throws `KeyExistsError` at once if
   * the key exists, locked or not; `InvalidKeyError`, `NotADirectoryError`, `TableLostError`, `OsError`.
   */
  // deno-lint-ignore require-await -- asynchronous like its siblings, though it never waits
  async create(key: string, value: Uint8Array): Promise<void> {
    const path = this.#path(key);
    if (this.#storage.statusOrNull(path) !== null) throw new KeyExistsError(key, this.name);
    using temporary = this.#write(value);
    using names = this.#openNames();
    if (!temporary.publishNew(path)) throw new KeyExistsError(key, this.name);
    this.#syncNames(names);
  }

  /** Replace the value of a key that exists. Throws what `get` throws, and `TableLostError`. */
  async update(key: string, value: Uint8Array): Promise<void> {
    const path = this.#path(key);
    if (this.#storage.statusOrNull(path) === null) this.#refuseMissing(key);
    using temporary = this.#write(value);
    using names = this.#openNames();
    using _held = await this.#hold(path, () => this.#refuseMissing(key));
    temporary.replace(path);
    this.#syncNames(names);
  }

  /**
   * Remove a key. Succeeds if the key, or the table, does not exist. Throws `LockDeadlineError`,
   * `InvalidKeyError`, `NotAValueError`, `NotADirectoryError`, `TableLostError`, `OsError`.
   */
  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    using held = await this.#hold(path, () => true);
    if (held === null) {
      this.#refuseNoDirectory();
      // The process that removed it may have died before the removal was on disk.
      using names = nullIfCode(() => this.#openNames(), "ENOENT");
      return this.#syncNames(names);
    }
    using names = this.#openNames();
    this.#storage.reach("table.unlink.before");
    this.#storage.unlink(path);
    this.#storage.reach("table.unlink.after");
    this.#syncNames(names);
  }

  /**
   * Give the keys, in no order. Keys that come or go during the walk may be in it or not. Throws
   * `TableNotFoundError`, `NotADirectoryError`, `OsError`.
   */
  *keys(): Generator<string> {
    for (const name of this.#fileNames()) {
      const key = keyOfFileName(name);
      if (key === null) continue;
      if (this.#storage.statusOrNull(`${this.directory}/${name}`)?.kind === "file") yield key;
    }
  }

  /**
   * Give keys and values, one at a time, in no order. Each value is read under its own lock, which is
   * released before the entry is handed out. A key that is removed before it is read is left out; one
   * that stays locked ends the walk with `LockDeadlineError`. Throws also what `keys` throws.
   */
  async *entries(): AsyncGenerator<Entry> {
    for (const key of this.keys()) {
      const value = await this.#read(key);
      if (value !== null) yield { key, value };
    }
  }

  /** Call `visit` for every entry, one after the other, and wait for it. What it throws ends the walk. */
  async forEach(visit: (key: string, value: Uint8Array) => void | Promise<void>): Promise<void> {
    for await (const { key, value } of this.entries()) await visit(key, value);
  }

  /** Null if the key does not exist. */
  #read(key: string): Promise<Uint8Array | null> {
    const path = this.#path(key);
    return retryUntilDeadline(
      { ...this.#settings, path },
      () => tryRead(this.#storage, path),
      () => true,
    );
  }

  /**
   * Wait for the exclusive lock of a key. If the key does not exist, `absent` decides: true ends the wait
   * without a lock (null), false tries again, and it may throw.
   */
  #hold(path: string, absent: () => boolean): Promise<Disposable | null> {
    const attempt = () => tryHold(this.#storage, path, this.directory);
    return retryUntilDeadline({ ...this.#settings, path }, attempt, absent);
  }

  #path(key: string): string {
    return `${this.directory}/${valueFileName(key)}`;
  }

  #write(value: Uint8Array): TemporaryFile {
    this.#prepare();
    const sync = this.#settings.sync === "always";
    return writeTemporary(this.#storage, this.directory, { value, sync });
  }

  /** Make sure that the table's directory exists, and that it survives a power cut. */
  #prepare(): void {
    const now = this.#identity();
    if (now !== null && now === this.#prepared) return;
    this.#refuseNoDirectory();
    makeDirectories(this.#storage, this.directory, DIRECTORY_MODE);
    // Another process may have made a directory and not yet, or never, synced its parent.
    for (let path = this.directory; path !== this.#settings.root; path = dirname(path)) {
      this.#storage.syncDirectory(dirname(path));
    }
    // A process that may not read it did not make the root: another user did, and earlier.
    nullIfCode(() => this.#storage.syncDirectory(dirname(this.#settings.root)), "EACCES");
    sweepTemporaries(this.#storage, this.directory);
    this.#prepared = this.#identity() ?? "";
  }

  #identity(): string | null {
    const status = this.#storage.statusOrNull(this.directory);
    return status?.kind === "directory" ? identity(status) : null;
  }

  /**
   * Open the directory before a name in it is changed. So it is the one that is synced, whatever has its name by
   * then, and the sync is told of every write that failed. Null if nothing is to be synced.
   */
  #openNames(): StoredFile | null {
    if (this.#settings.sync === "os") return null;
    return this.#storage.open(this.directory, { access: "read", kind: "directory" });
  }

  /**
   * Make the names in the table durable. A failure is thrown, and never tried again. Throw `TableLostError` if
   * the directory no longer has its name.
   */
  #syncNames(names: StoredFile | null): void {
    if (names === null) return;
    this.#storage.reach("table.names.before");
    names.sync();
    this.#storage.reach("table.names.after");
    if (leadsTo(this.#storage, this.directory, names.status())) return;
    throw new TableLostError(this.name, this.directory);
  }

  *#fileNames(): Iterable<string> {
    try {
      yield* this.#storage.walkDirectory(this.directory);
    } catch (error) {
      if (hasCode(error, "ENOENT")) throw new TableNotFoundError(this.name, this.directory);
      if (hasCode(error, "ENOTDIR")) throw new NotADirectoryError(this.directory);
      throw error;
    }
  }

  #refuseMissing(key: string): never {
    this.#refuseNoDirectory();
    throw new KeyNotFoundError(key, this.name);
  }

  /** Throw `NotADirectoryError` if something that is not a directory has the table's path. */
  #refuseNoDirectory(): void {
    const kindNow = () => this.#storage.status(this.directory).kind;
    const kind = nullIfCode(() => nullIfCode(kindNow, "ENOENT") ?? "directory", "ENOTDIR");
    if (kind !== "directory") throw new NotADirectoryError(this.directory);
  }
}

/** A directory of tables, as flockd has it: the root table, and tables below it. */

import { type Clock, systemClock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { type Storage, trimSlashes } from "../file/mod.ts";
import { NotADirectoryError, TableNotFoundError } from "./errors.ts";
import { mayHoldTables, tableOfDirectory } from "./names.ts";
import { type Entry, Table, type TableSettings, type TableSync } from "./table.ts";

export interface TableRootOptions {
  /** How long a call waits for a lock; more than 0. */
  readonly lockTimeoutMs: number;
  /** Default `always`. */
  readonly sync?: TableSync;
  readonly clock?: Clock;
}

export class TableRoot {
  /** The directory, exactly as given. */
  readonly path: string;
  readonly #settings: TableSettings;
  readonly #rootTable: Table;

  /**
   * Opens a directory of tables without touching the disk: the first `set` or `create` makes it, and
   * one that cannot be written still answers. Throws `UsageError` for a timeout that is not a number
   * above 0 and for an empty path.
   */
  constructor(storage: Storage, path: string, options: TableRootOptions) {
    const { lockTimeoutMs, sync = "always", clock = systemClock } = options;
    if (!(lockTimeoutMs > 0 && Number.isFinite(lockTimeoutMs))) {
      throw new UsageError(`Invalid lock timeout ${lockTimeoutMs}: give milliseconds above 0`);
    }
    if (path === "") throw new UsageError("Invalid path of tables: it is empty");
    this.path = path;
    const root = trimSlashes(path);
    this.#settings = { storage, clock, root, lockTimeoutMs, sync };
    this.#rootTable = new Table("", this.#settings);
  }

  /** A table by name; the empty name is the root table. Touches no disk. Throws `InvalidTableError`. */
  table(name: string): Table {
    return name === "" ? this.#rootTable : new Table(name, this.#settings);
  }

  /**
   * Names of all tables in code unit order, the root table's empty name first; each is good for
   * `table`. Throws `TableNotFoundError` where the root is missing, `NotADirectoryError`, `OsError`.
   */
  tables(): string[] {
    const { storage, root } = this.#settings;
    const status = storage.statusOrNull(root);
    if (status === null) throw new TableNotFoundError("", this.path);
    if (status.kind !== "directory") throw new NotADirectoryError(this.path);
    const found = [""];
    this.#walk("", [`${status.device}:${status.inode}`], found);
    return found.sort();
  }

  /** `above` are the directories on the way down: a symbolic link to one of them is not followed. */
  #walk(below: string, above: readonly string[], found: string[]): void {
    const { storage, root } = this.#settings;
    for (const name of storage.walkDirectory(below === "" ? root : `${root}/${below}`)) {
      const path = below === "" ? name : `${below}/${name}`;
      const table = tableOfDirectory(path);
      const deeper = mayHoldTables(name);
      if (table === null && !deeper) continue;
      const status = storage.statusOrNull(`${root}/${path}`);
      if (status?.kind !== "directory") continue;
      const identity = `${status.device}:${status.inode}`;
      if (above.includes(identity)) continue;
      if (table !== null) found.push(table);
      if (deeper) this.#walk(path, [...above, identity], found);
    }
  }

  // The calls of the root table.

  get(key: string): Promise<Uint8Array> {
    return this.#rootTable.get(key);
  }

  set(key: string, value: Uint8Array): Promise<void> {
    return this.#rootTable.set(key, value);
  }

  create(key: string, value: Uint8Array): Promise<void> {
    return this.#rootTable.create(key, value);
  }

  update(key: string, value: Uint8Array): Promise<void> {
    return this.#rootTable.update(key, value);
  }

  delete(key: string): Promise<void> {
    return this.#rootTable.delete(key);
  }

  keys(): Generator<string> {
    return this.#rootTable.keys();
  }

  entries(): AsyncGenerator<Entry> {
    return this.#rootTable.entries();
  }

  forEach(visit: (key: string, value: Uint8Array) => void | Promise<void>): Promise<void> {
    return this.#rootTable.forEach(visit);
  }
}

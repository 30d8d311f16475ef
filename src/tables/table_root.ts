/** A directory of tables, as in flockd: the root table, and tables below it. */

import { type Clock, systemClock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { type Storage, trimSlashes } from "../file/mod.ts";
import { NotADirectoryError, TableNotFoundError } from "./errors.ts";
import { mayHoldTables, tableOfDirectory } from "./names.ts";
import { Table, type TableSettings, type TableSync } from "./table.ts";
import { walkTables } from "./walk.ts";

/** Options of a `TableRoot`. */
export interface TableRootOptions {
  /** How long a call waits for a lock, in milliseconds; above 0. */
  readonly lockTimeoutMs: number;
  /** When a write is forced to disk. Default `always`: before the call returns. */
  readonly sync?: TableSync;
  /** Times the waits for locks. Default: the clock of this machine. */
  readonly clock?: Clock;
}

/**
 * A directory of tables: it is the root table itself, and gives the tables below it. Holds no descriptor, so
 * nothing has to be closed. Continues the database object of flockd.
 */
export class TableRoot extends Table {
  /** Path of the directory, exactly as given. */
  readonly path: string;
  readonly #settings: TableSettings;

  /**
   * Name a directory of tables, without touching the disk. The first `set` or `create` makes it, and
   * reading works in a directory that may not be written to. Throws `UsageError` for a timeout that is
   * not a number above 0, and for an empty path.
   */
  constructor(storage: Storage, path: string, options: TableRootOptions) {
    const { lockTimeoutMs, sync = "always", clock = systemClock } = options;
    if (!(lockTimeoutMs > 0 && Number.isFinite(lockTimeoutMs))) {
      throw new UsageError(`Invalid lock timeout ${lockTimeoutMs}: give milliseconds above 0`);
    }
    if (path === "") throw new UsageError("Invalid path of tables: it is empty");
    const settings = { storage, clock, root: trimSlashes(path), lockTimeoutMs, sync };
    super("", settings);
    this.path = path;
    this.#settings = settings;
  }

  /**
   * Give a table by name, without touching the disk. A name is one or more parts joined by `/`, of at most
   * 1024 bytes; the empty name is the root table. A part is 1 to 255 bytes (the last one 251), without NUL,
   * and not `.` or `..`. A part before the last does not end in `.kv` and is not `.countd-temporary`.
   * Throws `InvalidTableError`.
   */
  table(name: string): Table {
    return name === "" ? this : new Table(name, this.#settings);
  }

  /**
   * List the names of all tables, in the order of their UTF-16 code units: the root table's empty name is
   * first. `table` accepts each of them. Throws `TableNotFoundError` if the root does not exist,
   * `NotADirectoryError`, `OsError`.
   */
  tables(): string[] {
    const { storage, root } = this.#settings;
    const status = storage.statusOrNull(root);
    if (status === null) throw new TableNotFoundError("", this.path);
    if (status.kind !== "directory") throw new NotADirectoryError(this.path);
    const found = [""];
    walkTables(storage, root, ({ name, below, status, isCircle }) => {
      const table = status.kind === "directory" && !isCircle ? tableOfDirectory(below) : null;
      if (table !== null) found.push(table);
      return mayHoldTables(name);
    }, (name, below) => mayHoldTables(name) || tableOfDirectory(below) !== null);
    return found.sort();
  }
}

/** Opens a database. The function has the name that it has in the original: `init`. */

import { type Clock, systemClock } from "../../base/clock.ts";
import { type Events, noEvents } from "../../base/events.ts";
import { type Storage, systemStorage } from "../../file/mod.ts";
import type { SyncMode } from "../../file/checked_log/mod.ts";
import { Database } from "./database.ts";
import { requireNotFailed, syncOrMarkFailed } from "../files/failed_mark.ts";
import { openPair } from "../files/pair.ts";
import { recover } from "./recovery.ts";

/** Options of `init`. */
export interface InitOptions {
  /** The disk. Default: the files of the operating system. */
  readonly storage?: Storage;
  /** The time. Default: the clock of the system. */
  readonly clock?: Clock;
  /** Receives the events of the database, such as a truncated log. Default: they are dropped. */
  readonly events?: Events;
  /** When the log is synced. Default: `interval`. */
  readonly sync?: SyncMode;
  /** Milliseconds between two syncs in mode `interval`. Default: 1000. */
  readonly syncIntervalMs?: number;
  /** False: throws `NotFoundError` if both files are missing, and makes nothing. Default: true. */
  readonly create?: boolean;
}

/**
 * Opens the database in these two files: the map and the log. Missing or empty files are made, with
 * mode 0600. Files of the original are converted, and kept as NAME.orig. The files stay locked until
 * the database is closed, so only one process has them open. Damaged files are left untouched.
 *
 * @throws {DatabaseInUseError} If another process has the files open, or checks them.
 * @throws {CorruptError} If the files are damaged or marked failed.
 * @throws {UsageError} If the two paths cannot be a pair, for example because they are swapped.
 * @throws {NotFoundError} If `create` is false and both files are missing.
 * @throws {FailedError} If a path is not a file.
 * @throws {NewerFormatError} If only a newer countd can read the files. They are whole.
 * @throws {OldFormatError} If the files have format 1. The message says how to move the data.
 * @throws {OsError} If the system refuses.
 */
export function init(dbFile: string, logFile: string, options: InitOptions = {}): Database {
  const storage = options.storage ?? systemStorage();
  const events = options.events ?? noEvents;
  const sync = options.sync ?? "interval";
  requireNotFailed(storage, dbFile);
  const pair = openPair(storage, { map: dbFile, log: logFile }, { create: options.create ?? true });
  for (const kept of pair.kept) events.report("info", "original kept", { path: kept });
  if (!pair.map.avoidCopyOnWrite() || !pair.log.avoidCopyOnWrite()) {
    events.report("warn", "files are copied on write: a full disk may end this process", {
      path: dbFile,
    });
  }
  try {
    // Check again: the previous owner may have failed after the first check.
    requireNotFailed(storage, dbFile);
    const { map, mapFile, journal } = recover(storage, pair, { events });
    const { log } = journal;
    if (sync !== "os" && log.durable < log.tail) {
      // What a killed process left in the page cache is visible from now on, so it must be durable.
      syncOrMarkFailed(storage, dbFile, () => log.syncNow());
    }
    return new Database({
      storage,
      clock: options.clock ?? systemClock,
      events,
      journal,
      map,
      mapFile,
      sync,
      syncIntervalMs: options.syncIntervalMs ?? 1000,
    });
  } catch (error) {
    pair.map.close();
    pair.log.close();
    throw error;
  }
}

/** Opening a database: `init`, as the original calls it. */

import { type Clock, systemClock } from "../../base/clock.ts";
import { type Events, noEvents } from "../../base/events.ts";
import { type Storage, systemStorage } from "../../file/mod.ts";
import { Database } from "./database.ts";
import { requireNotFailed, syncOrMarkFailed } from "../files/failed_mark.ts";
import type { SyncMode } from "./group_commit.ts";
import { openPair } from "../files/pair.ts";
import { recover } from "./recovery.ts";

export interface InitOptions {
  /** The disk; the system's own when not given. */
  readonly storage?: Storage;
  readonly clock?: Clock;
  readonly events?: Events;
  /** When the log is forced to disk; default `interval`. */
  readonly sync?: SyncMode;
  /** Default 1000. */
  readonly syncIntervalMs?: number;
  /** Default true. False: throws `NotFoundError` where both files are missing. */
  readonly create?: boolean;
}

/**
 * Opens the database of these two files, makes them where they are missing or empty, and converts
 * files of the original (which are kept as NAME.orig). Exactly one `Database` in all processes has
 * them open until it is closed. Throws `DatabaseInUseError`, `CorruptError`, `OsError`.
 */
export function init(dbFile: string, logFile: string, options: InitOptions = {}): Database {
  const storage = options.storage ?? systemStorage();
  const events = options.events ?? noEvents;
  const sync = options.sync ?? "interval";
  requireNotFailed(storage, dbFile);
  const pair = openPair(storage, { map: dbFile, log: logFile }, { create: options.create ?? true });
  for (const kept of pair.kept) events.report("info", "original kept", { path: kept });
  try {
    // Once more: the owner before may have failed between that look and his end.
    requireNotFailed(storage, dbFile);
    const { map, mapFile, journal } = recover(storage, pair, { events });
    const { log } = journal;
    if (sync !== "os" && log.durable < log.tail) {
      // What a killed process left in the page cache is shown from now on, so it has to stay.
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

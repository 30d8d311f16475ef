/**
 * `countd backup`: a copy of a data directory while everything runs.
 *
 * What it promises: every increment that was answered (or stored in a log) before the backup began is in it
 * exactly once; one that comes during the backup is in it once or not at all. Each key of a table is as it
 * was at some moment of the backup; so is the database as a whole.
 *
 * Order: pin (keeps the pages of keyspaces from reuse), logs, keyspaces, tables, database, manifest, check.
 * It is made in a place of its own (`unfinished_directory.ts`) and appears under its name only when it is
 * whole and verified.
 */

import { dirname } from "node:path/posix";
import type { Clock } from "../base/clock.ts";
import { BusyError, CorruptError, NotFoundError } from "../base/errors.ts";
import {
  Control,
  DataDirectory,
  directoryLocks,
  directoryPaths,
  type Holder,
  holdsCounters,
  refuseBackup,
} from "../counters/commitlog/mod.ts";
import { check as checkDatabase, type DatabasePaths, UNFINISHED_RULE } from "../database/mod.ts";
import type { Storage } from "../file/mod.ts";
import { type Inventoried, openToCopy } from "../tables/mod.ts";
import { copyKeyspaces } from "./backup_keyspaces.ts";
import { copyLogs, type LogCopy, refuseMissingLogs } from "./backup_logs.ts";
import { takeInventory } from "./backup_files.ts";
import { copyFile, copyOpenFile, makePlace } from "./copy_files.ts";
import { databasePaths } from "./data_signs.ts";
import { readManifest, verifyManifest, writeManifest } from "./manifest.ts";
import { UnfinishedDirectory } from "./unfinished_directory.ts";

export interface BackupOptions {
  readonly self: Holder;
  readonly clock: Clock;
}

export interface BackupReport {
  readonly files: number;
  readonly bytes: number;
  readonly keyspaces: number;
  /** Increments in logs that are not folded yet. */
  readonly unfoldedRecords: number;
  readonly tableKeys: number;
  readonly database: boolean;
}

const LOCK_TIMEOUT_MS = 5000;
const DATABASE_ATTEMPTS_MAX = 20;

/**
 * Makes a backup in `directory`. Throws `FailedError` if `directory` is not empty at the beginning or at the
 * end, `CorruptError` if something is damaged (run check) or would be left out, `DirectoryFailedError` after
 * a failed sync, and `OsError`. Then `directory` is as before.
 */
export async function backup(
  storage: Storage,
  data: string,
  directory: string,
  options: BackupOptions,
): Promise<BackupReport> {
  refuseBackup(storage, data);
  using made = UnfinishedDirectory.begin(storage, directory, "back up");
  // Open before the first write, so that `sync` reports every write that failed.
  using fileSystem = storage.openFileSystem(made.path);
  const counts = await copyAll(storage, data, made.path, options);
  writeManifest(storage, made.path, options.clock.wallMs());
  fileSystem.sync();
  const manifest = readManifest(storage, made.path);
  verifyManifest(storage, made.path, manifest);
  storage.reach("backup.rename.before");
  made.publish();
  storage.reach("backup.rename.after");
  const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  return { files: manifest.files.length, bytes, ...counts };
}

async function copyAll(
  storage: Storage,
  data: string,
  partial: string,
  options: BackupOptions,
): Promise<Omit<BackupReport, "files" | "bytes">> {
  const { tables, foreign } = takeInventory(storage, data);
  const counters = await copyCounters(storage, data, partial, options);
  const { keyspaces: from } = directoryPaths(data);
  for (const below of foreign) {
    const to = `${directoryPaths(partial).keyspaces}/${below}`;
    makePlace(storage, dirname(to));
    copyFile(storage, { from: `${from}/${below}`, to });
  }
  const tableKeys = tables && await copyTables(storage, data, partial, { ...options, tables });
  const database = await copyDatabase(storage, data, partial, options.clock);
  if (counters === null && tableKeys === null && !database) {
    throw new NotFoundError(`No data directory at ${data}: there is nothing to back up`);
  }
  const { keyspaces, unfoldedRecords } = counters ?? { keyspaces: 0, unfoldedRecords: 0 };
  return { keyspaces, unfoldedRecords, tableKeys: tableKeys ?? 0, database };
}

async function copyCounters(
  storage: Storage,
  data: string,
  partial: string,
  { self, clock }: BackupOptions,
): Promise<{ keyspaces: number; unfoldedRecords: number } | null> {
  using directory = DataDirectory.openOrNull(storage, data, { self, access: "read" });
  if (directory === null) {
    const paths = directoryPaths(data);
    if (!holdsCounters(storage, paths)) return null;
    throw new CorruptError(
      `The control file of ${data} is missing, so its counters cannot be copied: run countd repair`,
      { path: paths.control, offset: 0 },
    );
  }
  directory.refuseFailed();
  const { control, sizes } = directory;
  if (!control.tryLock(directoryLocks.pin, "shared")) {
    throw new BusyError(`The pin of ${data} is locked by another process: try again`);
  }
  const to = directoryPaths(partial);
  makePlace(storage, to.logs);
  makePlace(storage, to.keyspaces);
  storage.reach("backup.logs.before");
  const logs = await copyLogs(directory, to.logs, clock);
  // After the logs: the counter is at least the order of each of them, unless it is damaged.
  const greatest = (order: bigint, log: LogCopy) => log.order > order ? log.order : order;
  const order = logs.reduce(greatest, control.order() ?? 0n);
  Control.create(storage, to.control, sizes, order);
  storage.reach("backup.logs.after");
  const keyspaces = await copyKeyspaces(directory, to.keyspaces, { logs, clock });
  refuseMissingLogs(directory, to.keyspaces);
  storage.reach("backup.keyspaces.after");
  const unfoldedRecords = logs.reduce((sum, log) => sum + log.records, 0);
  return { keyspaces, unfoldedRecords };
}

/** Copies each file under its shared lock. Returns the number of keys. */
async function copyTables(
  storage: Storage,
  data: string,
  partial: string,
  { tables, clock }: { readonly tables: readonly Inventoried[]; readonly clock: Clock },
): Promise<number> {
  const { tables: from } = directoryPaths(data);
  const { tables: to } = directoryPaths(partial);
  makePlace(storage, to);
  let keys = 0;
  for (const { below, kind, isValue } of tables) {
    if (kind === "directory") {
      makePlace(storage, `${to}/${below}`);
      continue;
    }
    const locking = { clock, lockTimeoutMs: LOCK_TIMEOUT_MS };
    using file = await openToCopy(storage, `${from}/${below}`, locking);
    if (file === null) continue;
    copyOpenFile(storage, file, { to: `${to}/${below}` });
    if (isValue) keys++;
  }
  return keys;
}

/**
 * Copies the map first, then the log, which decides: the map's snapshot never holds more than the log that
 * is copied after it. If a copy does not check, the database changed during it, and it is made again.
 */
async function copyDatabase(
  storage: Storage,
  data: string,
  partial: string,
  clock: Clock,
): Promise<boolean> {
  const from = databasePaths(data);
  const to = databasePaths(partial);
  const files = [from.map, from.log].map((path) => storage.statusOrNull(path));
  // A first start that was cut short leaves empty files: there is not yet a database.
  if (files.every((status) => status === null || status.size === 0)) return false;
  if (files.some((status) => status === null || status.size === 0)) refuseHalf(storage, from);
  makePlace(storage, dirname(to.map));
  for (let attempt = 1;; attempt++) {
    copyFile(storage, { from: from.map, to: to.map });
    copyFile(storage, { from: from.log, to: to.log });
    const [first] = checkDatabase(storage, to);
    if (first === undefined) return true;
    storage.unlink(to.map);
    storage.unlink(to.log);
    if (attempt === DATABASE_ATTEMPTS_MAX) {
      throw new CorruptError(
        `The database of ${data} cannot be copied whole (${first.message}): run countd check`,
        { path: from.log, offset: first.offset },
      );
    }
    await clock.sleep(20 * attempt);
  }
}

/** Throws `BusyError` if a start completes the two files, else `CorruptError` if one of them is missing. */
function refuseHalf(storage: Storage, paths: DatabasePaths): void {
  const [first] = checkDatabase(storage, paths);
  if (first?.invariant === UNFINISHED_RULE) {
    throw new BusyError(`${paths.map} is not a whole database (${first.message}); then try again`);
  }
  const missing = [paths.map, paths.log].find((path) => storage.statusOrNull(path) === null);
  if (missing === undefined) return;
  throw new CorruptError(`${missing} is missing, and the other file is there: run countd check`, {
    path: missing,
    offset: 0,
  });
}

/**
 * A map and its log in two memory-mapped files with one owner.
 *
 * ```ts
 * import { init } from "@countd/countd/database";
 *
 * const directory = Deno.makeTempDirSync();
 * await using db = init(`${directory}/db.json`, `${directory}/log.json`, { sync: "always" });
 * await db.write("x", "hello"); // logged, committed, durable, and in the map
 * console.log(await db.read("x"), db.log.length); // hello 1
 * ```
 *
 * `DB` is the class of an open database; `init` makes it. `DB.log` is the interface for replication.
 * `check`, `repairDatabase`, `exportDatabase` and `importDatabase` work on the files.
 *
 * @module
 */

export { type Clock, systemClock } from "../base/clock.ts";
export {
  BusyError,
  CorruptError,
  CountdError,
  type ErrorKind,
  FailedError,
  NotFoundError,
  RefusedError,
  UsageError,
} from "../base/errors.ts";
export { NewerFormatError, OldFormatError } from "../base/format.ts";
export { type EventFields, type EventLevel, type Events } from "../base/events.ts";
export {
  type FaultPoint,
  type FileStatus,
  type LockKind,
  type Mapping,
  type OpenFileSystem,
  type OpenOptions,
  OsError,
  type Storage,
  type StoredFile,
  systemStorage,
  type SystemStorageOptions,
} from "../file/mod.ts";
export { Database as DB, type DatabaseStatus } from "./engine/database.ts";
export type { RequestOptions, WriteOptions } from "./engine/database.ts";
export { type Entry, type EntryInput, SET_COMMAND } from "./format/entry.ts";
export {
  DatabaseBusyError,
  DatabaseFailedError,
  DatabaseInUseError,
  InvalidKeyError,
  StorageFullError,
} from "./engine/errors.ts";
export { SYNC_MODES, type SyncMode } from "../file/checked_log/mod.ts";
export { EntryList, Log } from "./engine/log.ts";
export { init, type InitOptions } from "./engine/open.ts";
export { type DatabaseContent, readDatabase } from "./engine/reading.ts";
export { goEntry } from "./convert/original_json.ts";
export { check, UNFINISHED_RULE, type Violation } from "./check/check.ts";
export { isMarkedFailed } from "./files/failed_mark.ts";
export type { DatabasePaths } from "./files/publish.ts";
export { repairDatabase, type RepairOptions, type RepairReport } from "./check/repair.ts";
export type { Damage } from "./check/salvage.ts";
export {
  exportDatabase,
  importDatabase,
  originalNames,
  type Transferred,
} from "./convert/transfer.ts";

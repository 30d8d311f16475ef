/** A map and its log in two memory-mapped files with one owner. */

export { Database as DB, type DatabaseStatus } from "./database.ts";
export type { RequestOptions, WriteOptions } from "./database.ts";
export { type Entry, type EntryInput, setCommand } from "./entry.ts";
export {
  DatabaseBusyError,
  DatabaseFailedError,
  DatabaseInUseError,
  InvalidKeyError,
  StorageFullError,
} from "./errors.ts";
export { type SyncMode, syncModes } from "./group_commit.ts";
export { EntryList, Log } from "./log.ts";
export { init, type InitOptions } from "./open.ts";
export { goEntry } from "./original_json.ts";
export { check, UNFINISHED_RULE, type Violation } from "./check.ts";
export { isMarkedFailed } from "./failed_mark.ts";
export type { DatabasePaths } from "./publish.ts";
export { repairDatabase, type RepairOptions, type RepairReport } from "./repair.ts";
export type { Damage } from "./salvage.ts";
export { exportDatabase, importDatabase, originalNames, type Transferred } from "./transfer.ts";

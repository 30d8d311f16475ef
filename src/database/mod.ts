/** A map and its log in two memory-mapped files with one owner. */

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
export { SYNC_MODES, type SyncMode } from "./engine/group_commit.ts";
export { EntryList, Log } from "./engine/log.ts";
export { init, type InitOptions } from "./engine/open.ts";
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

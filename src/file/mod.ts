/**
 * Files as the operating system gives them, behind one seam (`Storage`). Of `ffi/`, files and locks are
 * used here alone; `net` takes the sockets.
 */

export { OsError } from "../../ffi/mod.ts";
export { ignoreHangup, isHangupIgnored, selfTest as platformSelfTest } from "../../ffi/mod.ts";
export { writerWithoutWaiting } from "../../ffi/mod.ts";
export { makeDirectories, publishFile, publishNewFile, syncName, trimSlashes } from "./durable.ts";
export { endOfData } from "./end_of_data.ts";
export {
  concernsOneFile,
  type FileKind,
  hasCode,
  isDiskFailure,
  isDiskFull,
  isOutOfResources,
  isPassing,
  isReadFailure,
  isSyncFailure,
  nullIfCode,
  type Trouble,
  troubleOf,
} from "./failures.ts";
export { type ErrnoMeaning, meaningOfErrno } from "../../ffi/mod.ts";
export { FaultPlan } from "./fault.ts";
export { holdAbandoned, holdOrNull, makeHeld } from "./held_file.ts";
export { type FileIdentity, isSameFile, leadsTo } from "./identity.ts";
export { returnLargeBlocks } from "./large_blocks.ts";
export { isLostAndFound } from "./lost_and_found.ts";
export { removeOnError } from "./remove_on_error.ts";
export { requireDirectory } from "./require_directory.ts";
export type {
  FaultPoint,
  FileStatus,
  LockKind,
  Mapping,
  OpenFileSystem,
  OpenOptions,
  Storage,
  StoredFile,
} from "./storage.ts";
export { TEXT_BYTES_MAX, writeText } from "./write_text.ts";
export { systemStorage, type SystemStorageOptions } from "./system_storage.ts";

/**
 * Commit logs: the pool, the life of a log, and the data directory. README.md has the format and the
 * protocol.
 */

export { ActiveLog, type BatchFiller } from "./active_log.ts";
export { checkCommitLogs, checkLogBytes, type Violation } from "./check.ts";
export { Control, directorySizesDefault, slotLock } from "./control.ts";
export {
  checkDirectorySizes,
  type DirectorySizes,
  isLogSize,
  MOVE_ADVICE,
} from "./control_bytes.ts";
export { DIRECTORY_VERSION, directoryLocks } from "./control_layout.ts";
export {
  DataDirectory,
  type DirectoryPaths,
  directoryPaths,
  errorToEndWith,
  holdsBackup,
  holdsCounters,
  refuseBackup,
} from "./directory.ts";
export { DirectoryWatch } from "./directory_watch.ts";
export { BatchCursor, batchRecords } from "./frame.ts";
export { describeSelf, type Holder } from "./holder.ts";
export { clearFailedMark, DirectoryFailedError, type FailedMark } from "./failed_mark.ts";
export { headerOf, headerOfFile, type LogHeader, type LogState } from "./header.ts";
export { HeldLog } from "./held_log.ts";
export { FRAME_LENGTH_MAX, HEAD_PAGE_BYTES, type LogIdentity } from "./layout.ts";
export {
  findFrames,
  findLatestGeneration,
  type FramePlace,
  freeLogImage,
  recordsOf,
  unusedBytes,
  writeLogImage,
} from "./log_image.ts";
export { headerOfSlot } from "./open_slot.ts";
export { type Capture, LogReader } from "./log_reader.ts";
export { damagedHeaderOffset } from "./damaged_header.ts";
export {
  findLostLogs,
  listReadableSlots,
  type LostLog,
  resolveLoneLockNames,
} from "./lost_logs.ts";
export { LogPool, type PoolFull, type PoolOptions, slotsOfBacklog } from "./pool.ts";
export { type Scan, scanLog, visitFrames } from "./scan_log.ts";
export { recoverHeld, recoverSlot, type Recovery } from "./recover_slot.ts";
export { reportRecovery } from "./report_recovery.ts";
export { SealedLog, type TakenSlot } from "./sealed_log.ts";
export {
  findGaps,
  FREE_MODE,
  HELD_MODE,
  listSlots,
  lockPathOfSlot,
  nameOfSlot,
  pathOfSlot,
  SEALED_MODE,
} from "./slot_files.ts";

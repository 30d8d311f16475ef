/**
 * Commit logs: the pool, the life of a log, and the data directory that they lie in. README.md of this
 * room holds the format and the protocol.
 */

export { ActiveLog, type BatchFiller, frameLengthMax } from "./active_log.ts";
export { checkCommitLogs, checkLogBytes, type Violation } from "./check.ts";
export {
  checkDirectorySizes,
  Control,
  type DirectorySizes,
  directorySizesDefault,
  slotLock,
} from "./control.ts";
export { directoryLocks, directoryVersion } from "./control_layout.ts";
export {
  DataDirectory,
  type DirectoryPaths,
  directoryPaths,
  failDirectory,
  holdsCounters,
} from "./directory.ts";
export { batchRecords } from "./frame.ts";
export { describeSelf, type Holder } from "./holder.ts";
export { clearFailedMark, DirectoryFailedError, type FailedMark } from "./failed_mark.ts";
export { type LogHeader, type LogState, newestHeader } from "./header.ts";
export { HeldLog } from "./held_log.ts";
export {
  headPageBytes,
  type LogIdentity,
  logSizeDefault,
  logSizeMax,
  logSizeMin,
} from "./layout.ts";
export {
  findFrames,
  findLatestGeneration,
  type FramePlace,
  freeLogImage,
  logImage,
} from "./log_image.ts";
export { type Capture, LogHead } from "./log_head.ts";
export { LogReader } from "./log_reader.ts";
export { lostHeaderOffset } from "./lost_header.ts";
export {
  findLostLogs,
  listReadableSlots,
  type LostLog,
  settleLoneLockNames,
} from "./lost_names.ts";
export {
  backlogBytesDefault,
  checkBacklog,
  LogPool,
  type PoolFull,
  poolLogsDefault,
  type PoolOptions,
} from "./pool.ts";
export { isCorrupt, type Scan, scanLog } from "./recovery.ts";
export { recoverHeld, recoverSlot, type Recovery } from "./recover_slot.ts";
export { reportRecovery } from "./report_recovery.ts";
export { inspectFrame, SealedLog, type TakenSlot } from "./sealed_log.ts";
export {
  findGaps,
  freeMode,
  heldMode,
  listSlots,
  lockPathOfSlot,
  nameOfSlot,
  pathOfSlot,
  sealedMode,
} from "./slot_files.ts";

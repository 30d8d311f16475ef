/** The checked log: what a log of frames needs on disk, for every noun that has one (README.md). */

export { CheckedLog, type FrameStore } from "./checked_log.ts";
export { hasFailedMark, putFailedMark, removeFailedMark, syncOrMark } from "./failed_sync.ts";
export { FrameCursor, type FrameShape, LogBytes, sealFrame, seedAt } from "./frame.ts";
export { GroupCommit, SYNC_MODES, type SyncedLog, type SyncMode } from "./group_commit.ts";
export {
  FRAME_ALIGNMENT_BYTES,
  FRAME_CONTINUES,
  FRAME_HEAD_BYTES_MIN,
  frameLayout,
} from "./layout.ts";
export { type LogFile, LogWindow, readFrom, WindowMemory } from "./log_window.ts";
export { endOfBytes, type LogScan, scanLog, validFrames } from "./scan.ts";
export { keepTornTail, nextTornPath } from "./torn_tail.ts";
export { readWhole, writeWhole } from "./whole_number.ts";

export { Aof, type LowRoomFunc } from "./aof.ts";
export { AppendEvent, type AppendFunc } from "./append_event.ts";
export {
  ErrAppendFuncNil,
  ErrClosed,
  ErrCorrupted,
  ErrEmptyFile,
  ErrEndOfFile,
  ErrFileIsReadOnly,
  ErrIsDirectory,
  ErrReadPermission,
  ErrShortBuffer,
  ErrShrink,
  ErrWouldBlock,
} from "./errors.ts";
export { check, type Violation } from "./check.ts";
export { FileState } from "./file_state.ts";
export {
  createFile,
  Geometry,
  type GeometryFields,
  growthStepDefault,
  openFile,
  sizeNowDefault,
  sizeUpperDefault,
  sizeUpperMax,
} from "./geometry.ts";
export {
  Magic,
  magicCheckpoint,
  magicDefault,
  magicDisabled,
  magicTail,
  markSize,
} from "./magic.ts";
export { Manager, type ManagerOpenOptions, type ManagerOptions } from "./manager.ts";
export type { OpenOptions, OverOptions, SharedOptions } from "./parts.ts";
export { type ErrorFunc, type PollContext, PollReason, Reactor, type Task } from "./reactor.ts";
export {
  recoverWithMagic,
  Recovery,
  recoveryDefault,
  type RecoveryFunc,
  RecoveryKind,
  recoveryReadOnly,
  type RecoveryResult,
} from "./recovery.ts";
export { Counter, FileStats, Stats, type StatsSnapshot, TimeCounter } from "./stats.ts";
export type { SubscribeIntervalOptions, SubscribeOptions } from "./subscriptions.ts";
export {
  type ClosedEvent,
  type CloseReason,
  type Consumer,
  ReadEvent,
  stopTailing,
  Tailer,
  TailerState,
} from "./tailer.ts";

/**
 * Append-only files: one producer, any number of consumers, memory-mapped. README.md of this room holds
 * the format; this is the door.
 *
 * ```ts
 * import { Aof, createFile } from "./mod.ts";
 * import { systemStorage } from "../file/mod.ts";
 *
 * const storage = systemStorage();
 * const path = Deno.makeTempDirSync() + "/greetings";
 *
 * // Shared: other processes may follow the file while it is written to.
 * await using log = Aof.open(storage, path, { geometry: createFile(), shared: true });
 * const seen = Promise.withResolvers<string>();
 * let text = "";
 * log.subscribe({
 *   pollRead(event) {
 *     text += new TextDecoder().decode(event.tail);
 *     if (event.eof) seen.resolve(text);
 *     return event.end;
 *   },
 *   pollReadClosed: ({ reason }) => console.log("closed:", reason),
 * });
 *
 * log.write(new TextEncoder().encode("hello "));
 * log.append(16, (event) => new TextEncoder().encodeInto("world", event.tail).written);
 * await log.syncAsync(); // what was appended until now survives a power cut
 * log.finish();
 * console.log(await seen.promise, log.size);
 * ```
 */

export { Aof, type LowCapacityFunc } from "./file/aof.ts";
export { AppendEvent, type AppendFunc } from "./file/append_event.ts";
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
} from "./file/errors.ts";
export { check, type Violation } from "./marks/check.ts";
export { inspect, type Inspection, type SideFileContent } from "./marks/inspect.ts";
export { FileState } from "./file/file_state.ts";
export {
  createFile,
  Geometry,
  type GeometryFields,
  GROWTH_STEP_DEFAULT,
  openFile,
  SIZE_NOW_DEFAULT,
  SIZE_UPPER_DEFAULT,
  SIZE_UPPER_MAX,
} from "./file/geometry.ts";
export {
  Magic,
  MAGIC_CHECKPOINT,
  MAGIC_TAIL,
  magicDefault,
  magicDisabled,
  MARK_SIZE,
} from "./marks/magic.ts";
export { Manager, type ManagerOpenOptions, type ManagerOptions } from "./file/manager.ts";
export type { OpenOptions, OverOptions, SharedOptions } from "./file/parts.ts";
export {
  type ErrorFunc,
  type PollContext,
  PollReason,
  Reactor,
  type Task,
} from "./tail/reactor.ts";
export {
  recoverWithMagic,
  Recovery,
  recoveryDefault,
  type RecoveryFunc,
  RecoveryKind,
  recoveryReadOnly,
  type RecoveryResult,
} from "./marks/recovery.ts";
export { Counter, FileStats, Stats, type StatsSnapshot, TimeCounter } from "./file/stats.ts";
export type { SubscribeIntervalOptions, SubscribeOptions } from "./tail/subscriptions.ts";
export {
  type ClosedEvent,
  type CloseReason,
  type Consumer,
  ReadEvent,
  STOP_TAILING,
  Tailer,
  TailerState,
} from "./tail/tailer.ts";

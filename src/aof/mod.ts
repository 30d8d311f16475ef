/**
 * Append-only files: one producer, any number of consumers, memory-mapped.
 *
 * The producer appends bytes to a file and any number of tailers read them in order, in the same
 * process and in others. The file is mapped once, at the greatest length it may reach, and extended in
 * steps. There are no records: a file is bytes, and marks behind them tell where they end, also after
 * its writer was killed. README.md beside this module has the format byte by byte.
 *
 * An {@linkcode Aof} is one open file. A {@linkcode Manager} keeps the files of a directory and extends
 * them ahead of the writes. {@linkcode check} and {@linkcode inspect} look into a file that another
 * process may be writing to. Sizes and offsets are bytes, times are milliseconds.
 *
 * The library continues `aof` of [moontrade/kirana](https://github.com/moontrade/kirana) (Go). Names of
 * errors, states and marks are those of kirana.
 *
 * Run it with `--allow-ffi --allow-read --allow-write`.
 *
 * @example Append to a file and follow it
 * ```ts
 * import { Aof, createFile, systemStorage } from "@countd/countd/aof";
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
 *
 * @module
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
  ErrLostName,
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
export { type RepairedFile, repairFile, type RepairOptions } from "./file/repair.ts";
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
export {
  Counter,
  type CounterNames,
  FileStats,
  Stats,
  type StatsSnapshot,
  TimeCounter,
} from "./file/stats.ts";
export type { SubscribeIntervalOptions, SubscribeOptions } from "./tail/subscriptions.ts";
export {
  type ClosedEvent,
  type CloseReason,
  type Consumer,
  ReadEvent,
  STOP_TAILING,
  Tailer,
  TailerState,
  type TailSource,
} from "./tail/tailer.ts";

// What the signatures above name of the rooms below.
export { NewerFormatError } from "../base/format.ts";
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
export {
  type FaultPoint,
  type FileStatus,
  type LockKind,
  type Mapping,
  type OpenFileSystem,
  type OpenOptions as FileOpenOptions,
  OsError,
  type Storage,
  type StoredFile,
  systemStorage,
  type SystemStorageOptions,
} from "../file/mod.ts";

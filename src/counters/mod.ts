/**
 * Counters of a data directory in this process, without a server: the embedded engine.
 *
 * A keyspace is a sorted set of counters; a counter is a key and a signed 64-bit count. `Counters` adds to
 * counters, ranks them, and folds. A server, other processes and other engines may use the same directory
 * at the same time. It needs the permissions `--allow-ffi`, `--allow-read` and `--allow-write`.
 *
 * Every error that is thrown for a cause outside the program is a `CountdError`, or an `OsError` of the
 * file system.
 *
 * ```ts
 * import { Counters } from "@countd/countd/counters";
 *
 * await using counters = await Counters.open(Deno.makeTempDirSync() + "/counters");
 * await counters.increment("visits", "/about", 2);
 * await counters.batch([{ keyspace: "visits", key: "/" }, { keyspace: "visits", key: "/", by: 40n }]);
 * for (const { name, value } of await counters.top("visits", { length: 10 })) {
 *   console.log(name, value); // "/" 41n, "/about" 2n
 * }
 * console.log(await counters.get("visits", "/")); // 41n
 * console.log(await counters.rank("visits", "/about")); // 1
 * await counters.fold();
 * ```
 *
 * @module
 */

export { type Clock } from "../base/clock.ts";
export {
  BusyError,
  CorruptError,
  CountdError,
  type ErrorKind,
  FailedError,
  NotFoundError,
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
} from "../file/mod.ts";
export { DirectoryFailedError, type FailedMark } from "./commitlog/mod.ts";
export {
  type Count,
  type CounterIncrement,
  type CounterRow,
  Counters,
  type CountersOptions,
  type Name,
} from "./counters.ts";

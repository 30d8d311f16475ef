/**
 * Counters in this process: the embedded engine.
 *
 * @module
 */

export { type Clock, systemClock } from "../base/clock.ts";
export { BusyError, CorruptError, NotFoundError, UsageError } from "../base/errors.ts";
export { type Events } from "../base/events.ts";
export { OsError, type Storage, systemStorage } from "../file/mod.ts";
export { DirectoryFailedError } from "./commitlog/mod.ts";
export {
  type Count,
  type CounterIncrement,
  type CounterRow,
  Counters,
  type CountersOptions,
  type Name,
} from "./counters.ts";

/**
 * A key/value store in which keys are files, their values the content of the files, and tables
 * directories. Linearizable and durable, under `flock(2)`.
 *
 * Any number of processes may use one directory at the same time, among them
 * [flockd](https://github.com/theory/flockd) 0.3.1, the Go program that this library continues: it keeps
 * flockd's layout and waits for flockd's locks. README.md beside this module has the layout and the
 * protocol.
 *
 * A {@linkcode TableRoot} is a directory of tables, and a {@linkcode Table} one of them. A key is text of
 * up to 242 bytes in UTF-8, without slash and NUL; a value is any bytes. Times are milliseconds.
 *
 * Run it with `--allow-ffi --allow-read --allow-write`.
 *
 * @example Keep values in two tables
 * ```ts
 * import { KeyNotFoundError, systemStorage, TableRoot } from "@countd/countd/tables";
 *
 * const directory = Deno.makeTempDirSync() + "/tables";
 * const root = new TableRoot(systemStorage(), directory, { lockTimeoutMs: 1000 });
 * const encoder = new TextEncoder();
 *
 * await root.set("motd", encoder.encode("hello")); // the file tables/motd.kv
 * const realm = root.table("realm"); // the directory tables/realm.tbl
 * await realm.set("motd", encoder.encode("hello, realm"));
 * await realm.update("motd", encoder.encode("good evening"));
 *
 * for (const name of root.tables()) {
 *   for await (const { key, value } of root.table(name).entries()) {
 *     console.log(JSON.stringify(name), key, new TextDecoder().decode(value));
 *   }
 * }
 *
 * await root.delete("motd");
 * try {
 *   await root.get("motd");
 * } catch (error) {
 *   if (!(error instanceof KeyNotFoundError)) throw error;
 *   console.log(error.message);
 * }
 * ```
 *
 * @module
 */

export { checkTables, type Violation } from "./check.ts";
export {
  InvalidKeyError,
  InvalidTableError,
  KeyExistsError,
  KeyNotFoundError,
  LockDeadlineError,
  LongValueError,
  NotADirectoryError,
  NotAValueError,
  TableLostError,
  TableNotFoundError,
} from "./errors.ts";
export { type Inventoried, inventory, openToCopy } from "./inventory.ts";
export { checkKey, KEY_BYTES_MAX } from "./names.ts";
export { type Entry, Table, type TableSettings, type TableSync } from "./table.ts";
export { TableRoot, type TableRootOptions } from "./table_root.ts";

// What the signatures above name of the rooms below.
export { type Clock, systemClock } from "../base/clock.ts";
export {
  BusyError,
  CorruptError,
  CountdError,
  type ErrorKind,
  FailedError,
  NotFoundError,
  UsageError,
} from "../base/errors.ts";
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
  systemStorage,
  type SystemStorageOptions,
} from "../file/mod.ts";

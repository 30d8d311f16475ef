/** Tables and keys as files and directories, under `flock(2)`: flockd. */

export { checkTables } from "./check.ts";
export {
  InvalidKeyError,
  InvalidTableError,
  KeyExistsError,
  KeyNotFoundError,
  LockDeadlineError,
  NotADirectoryError,
  NotAValueError,
  TableNotFoundError,
} from "./errors.ts";
export { checkKey, KEY_BYTES_MAX } from "./names.ts";
export { type Entry, Table, type TableSync } from "./table.ts";
export { TableRoot, type TableRootOptions } from "./table_root.ts";
export { unreachablePaths } from "./unreachable.ts";

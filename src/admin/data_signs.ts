/**
 * Tells whether a directory is a data directory. Other programs have directories named `logs`, `db` or
 * `tables`, and files named `control`, so a name alone does not tell. Only reads.
 */

import { CorruptError } from "../base/errors.ts";
import { isFormatError } from "../base/format.ts";
import {
  Control,
  DataDirectory,
  directoryPaths,
  type Holder,
  holdsCounters,
} from "../counters/commitlog/mod.ts";
import type { DatabasePaths } from "../database/mod.ts";
import type { Storage } from "../file/mod.ts";
import { checkTables, TableRoot } from "../tables/mod.ts";

/** The default place of `countd db` in a data directory. */
export function databasePaths(data: string): DatabasePaths {
  const { db } = directoryPaths(data);
  return { map: `${db}/db.json`, log: `${db}/log` };
}

/** True if the directory holds something of countd, damaged or not. Throws `OsError`. */
export function holdsData(storage: Storage, data: string, self: Holder): boolean {
  const { map, log } = databasePaths(data);
  return hasControl(storage, data, self) || holdsCounters(storage, directoryPaths(data)) ||
    [map, log].some((path) => storage.statusOrNull(path)?.kind === "file") ||
    hasTables(storage, data) || isJustBegun(storage, data);
}

/** True if a first start was cut short: it has made some of its directories, and no file that has its name. */
function isJustBegun(storage: Storage, data: string): boolean {
  const { logs, keyspaces, tables, db } = directoryPaths(data);
  const names = storage.readDirectory(data);
  return names.length > 0 && names.every((name) => {
    if (Control.isTemporaryName(name)) return true;
    const path = `${data}/${name}`;
    return [logs, keyspaces, tables, db].includes(path) &&
      storage.statusOrNull(path)?.kind === "directory" && storage.readDirectory(path).length === 0;
  });
}

function hasControl(storage: Storage, data: string, self: Holder): boolean {
  const { control, logs, keyspaces } = directoryPaths(data);
  if (storage.statusOrNull(control)?.kind !== "file") return false;
  try {
    using directory = DataDirectory.openOrNull(storage, data, { self, access: "read" });
    return directory !== null;
  } catch (error) {
    // It has another format: the next opening reports that.
    if (isFormatError(error)) return true;
    if (!(error instanceof CorruptError)) throw error;
    // It is damaged, or a file of another program: the directories beside it decide.
    return [logs, keyspaces].every((path) => storage.statusOrNull(path)?.kind === "directory");
  }
}

function hasTables(storage: Storage, data: string): boolean {
  const { tables } = directoryPaths(data);
  if (storage.statusOrNull(tables)?.kind !== "directory") return false;
  const root = new TableRoot(storage, tables, { lockTimeoutMs: 1 });
  return root.tables().length > 1 || root.keys().next().done === false ||
    checkTables(storage, tables).length > 0;
}

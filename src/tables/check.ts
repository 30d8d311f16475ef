/**
 * Checking a directory of tables against the invariants of README.md. Reads only, takes no lock, and may
 * run while other processes write.
 */

import type { FileStatus, OsError, Storage } from "../file/mod.ts";
import {
  isTemporaryName,
  keyOfFileName,
  TABLE_SUFFIX,
  tableOfDirectory,
  TEMPORARY_DIRECTORY,
  VALUE_SUFFIX,
} from "./names.ts";
import { type Found, namesIn, walkTables } from "./walk.ts";

/** A broken invariant, and where it is broken. */
export interface Violation {
  /** Number of the invariant in README.md of this library, from 1 to 5. */
  readonly invariant: number;
  /** Path of the file or directory. */
  readonly path: string;
  /** Always 0: a value file has no inner structure. */
  readonly offset: number;
  /** What is wrong, in a sentence. */
  readonly message: string;
}

const OWNER_MAY_READ = 0o400;

/**
 * List the broken invariants of the directory of tables `root`; none for a sound directory, or one that
 * does not exist yet. It changes nothing, takes no lock, and may run while other processes write. A
 * directory that cannot be read is one. Throws `OsError`, for example if too many files are open.
 */
export function checkTables(storage: Storage, root: string): Violation[] {
  const status = storage.statusOrNull(root);
  if (status === null) return [];
  const violations: Violation[] = [];
  const report = (invariant: number, path: string, message: string) => {
    violations.push({ invariant, path, offset: 0, message });
  };
  if (status.kind !== "directory") report(1, root, "The root of the tables is not a directory");
  const visit = (found: Found) => checkFound(storage, found, report);
  const onClosed = (path: string, error: OsError) => report(3, path, error.message);
  walkTables(storage, root, visit, undefined, onClosed);
  return violations;
}

type Report = (invariant: number, path: string, message: string) => void;

/** Returns whether what is below it is to be checked as well. */
function checkFound(storage: Storage, found: Found, report: Report): boolean {
  const { name, path, below, parent, status } = found;
  const isTable = parent === "" || parent.endsWith(TABLE_SUFFIX);
  if (isTable && name === TEMPORARY_DIRECTORY) {
    checkTemporaries(storage, path, status, report);
    return false;
  }
  if (isTable && name.endsWith(VALUE_SUFFIX)) {
    checkValue(name, path, status, report);
    return false;
  }
  const hasTableName = name.endsWith(TABLE_SUFFIX);
  if (hasTableName && status.kind !== "directory") {
    report(1, path, "What has the name of a table is not a directory");
  } else if (hasTableName && tableOfDirectory(below) === null) {
    report(4, path, `No call can open this table: ${JSON.stringify(below)} is not a valid name`);
  }
  return true;
}

function checkValue(name: string, path: string, status: FileStatus, report: Report): void {
  if (status.kind !== "file") {
    report(1, path, "What has the name of a value is not a file");
    return;
  }
  if (keyOfFileName(name) === null) {
    const why = name.isWellFormed() ? "its name is longer than a key may be" : "it is not UTF-8";
    report(2, path, `No call can reach this value: ${why}`);
  }
  if ((status.mode & OWNER_MAY_READ) === 0) {
    report(3, path, `The owner may not read this value: mode ${status.mode.toString(8)}`);
  }
}

function checkTemporaries(
  storage: Storage,
  directory: string,
  status: FileStatus,
  report: Report,
): void {
  if (status.kind !== "directory") {
    report(5, directory, "The place for temporary files is not a directory");
    return;
  }
  for (const name of namesIn(storage, directory)) {
    const path = `${directory}/${name}`;
    const kind = storage.statusOrNull(path)?.kind ?? "file";
    if (!isTemporaryName(name) || kind !== "file") {
      report(5, path, "This is not a temporary file of countd, and is in the directory for them");
    }
  }
}

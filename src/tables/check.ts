/**
 * Checking a directory of tables against the invariants of README.md. Reads only, takes no lock, and may
 * run while other processes write.
 */

import type { FileStatus, Storage } from "../file/mod.ts";
import {
  isTemporaryName,
  keyOfFileName,
  TABLE_SUFFIX,
  tableOfDirectory,
  TEMPORARY_DIRECTORY,
  VALUE_SUFFIX,
} from "./names.ts";

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
 * does not exist yet. It changes nothing, takes no lock, and may run while other processes write. Throws
 * `OsError` if a directory cannot be read.
 */
export function checkTables(storage: Storage, root: string): Violation[] {
  const status = storage.statusOrNull(root);
  if (status === null) return [];
  const violations: Violation[] = [];
  const report = (invariant: number, path: string, message: string) => {
    violations.push({ invariant, path, offset: 0, message });
  };
  if (status.kind !== "directory") report(1, root, "The root of the tables is not a directory");
  else checkDirectory(storage, { root, below: "", above: [identity(status)] }, report);
  return violations;
}

type Report = (invariant: number, path: string, message: string) => void;

interface Place {
  readonly root: string;
  /** Path below the root; empty for the root itself. */
  readonly below: string;
  /** The directories on the way down, so that a symbolic link cannot lead in circles. */
  readonly above: readonly string[];
}

function checkDirectory(storage: Storage, place: Place, report: Report): void {
  const directory = place.below === "" ? place.root : `${place.root}/${place.below}`;
  const isTable = place.below === "" || place.below.endsWith(TABLE_SUFFIX);
  for (const name of storage.walkDirectory(directory)) {
    const path = `${directory}/${name}`;
    const below = place.below === "" ? name : `${place.below}/${name}`;
    // Removed since it was listed, or a link to nothing: no call sees a key or a table there.
    const status = storage.statusOrNull(path);
    if (status === null) continue;
    if (isTable && name === TEMPORARY_DIRECTORY) {
      checkTemporaries(storage, path, status, report);
    } else if (isTable && name.endsWith(VALUE_SUFFIX)) {
      checkValue(name, path, status, report);
    } else if (status.kind === "directory") {
      if (name.endsWith(TABLE_SUFFIX) && tableOfDirectory(below) === null) {
        report(
          4,
          path,
          `No call can open this table: ${JSON.stringify(below)} is not a valid name`,
        );
      }
      if (place.above.includes(identity(status))) continue;
      checkDirectory(storage, {
        root: place.root,
        below,
        above: [...place.above, identity(status)],
      }, report);
    } else if (name.endsWith(TABLE_SUFFIX)) {
      report(1, path, "What has the name of a table is not a directory");
    }
  }
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
  for (const name of storage.walkDirectory(directory)) {
    const path = `${directory}/${name}`;
    const kind = storage.statusOrNull(path)?.kind ?? "file";
    if (!isTemporaryName(name) || kind !== "file") {
      report(5, path, "This is not a temporary file of countd, and is in the directory for them");
    }
  }
}

function identity(status: FileStatus): string {
  return `${status.device}:${status.inode}`;
}

/**
 * Finding what is below a directory of tables and is not the value of a key: a copy that is made key by
 * key leaves it out. Names and kinds alone decide, so it may run while other processes write.
 */

import type { Storage } from "../file/mod.ts";
import {
  isForeignTemporaryName,
  keyOfFileName,
  TABLE_SUFFIX,
  tableOfDirectory,
  TEMPORARY_DIRECTORY,
  VALUE_SUFFIX,
} from "./names.ts";

/**
 * List the paths below the directory of tables `root` that no call reaches, in order: files that are not
 * values, and directories that have the name of a value or of a table and cannot be one. Temporary files
 * and hidden files of other programs do not count. Empty if `root` does not exist. Throws `OsError`.
 */
export function unreachablePaths(storage: Storage, root: string): string[] {
  const found: string[] = [];
  const status = storage.statusOrNull(root);
  if (status?.kind !== "directory") return found;
  const identity = `${status.device}:${status.inode}`;
  walk(storage, { root, below: "", above: [identity], isHidden: false }, found);
  return found;
}

interface Place {
  readonly root: string;
  /** Path below the root; empty for the root itself. */
  readonly below: string;
  /** The directories on the way down, so that a symbolic link cannot lead in circles. */
  readonly above: readonly string[];
  /** True below a directory whose name begins with a dot. */
  readonly isHidden: boolean;
}

function walk(storage: Storage, place: Place, found: string[]): void {
  const { root, below } = place;
  const directory = below === "" ? root : `${root}/${below}`;
  const isTable = below === "" || tableOfDirectory(below) !== null;
  for (const name of storage.readDirectory(directory).sort()) {
    if (isTable && name === TEMPORARY_DIRECTORY) continue;
    const path = `${directory}/${name}`;
    const next = below === "" ? name : `${below}/${name}`;
    // Removed since it was listed, or a link to nothing: there are no bytes to leave out.
    const status = storage.statusOrNull(path);
    if (status === null) continue;
    const isHidden = place.isHidden || name.startsWith(".");
    if (status.kind !== "directory") {
      const isValue = isTable && status.kind === "file" && keyOfFileName(name) !== null;
      const isForeign = isTable && isForeignTemporaryName(name);
      const isHarmless = isHidden && !name.endsWith(VALUE_SUFFIX);
      if (!isValue && !isForeign && !isHarmless) found.push(path);
      continue;
    }
    const isLost = isTable && name.endsWith(VALUE_SUFFIX) ||
      name.endsWith(TABLE_SUFFIX) && tableOfDirectory(next) === null;
    if (isLost) found.push(path);
    const identity = `${status.device}:${status.inode}`;
    if (place.above.includes(identity)) continue;
    walk(storage, {
      root,
      below: next,
      above: [...place.above, identity],
      isHidden,
    }, found);
  }
}

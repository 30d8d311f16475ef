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
import { walkTables } from "./walk.ts";

/**
 * List the paths below the directory of tables `root` that no call reaches, in order: files that are not
 * values, and directories that have the name of a value or of a table and cannot be one. Temporary files
 * and hidden files of other programs do not count. Empty if `root` does not exist. Throws `OsError`.
 */
export function unreachablePaths(storage: Storage, root: string): string[] {
  const lost: string[] = [];
  walkTables(storage, root, ({ name, path, below, parent, status }) => {
    const isTable = parent === "" || tableOfDirectory(parent) !== null;
    if (isTable && name === TEMPORARY_DIRECTORY) return false;
    if (status.kind === "directory") {
      const isLost = isTable && name.endsWith(VALUE_SUFFIX) ||
        name.endsWith(TABLE_SUFFIX) && tableOfDirectory(below) === null;
      if (isLost) lost.push(path);
      return true;
    }
    const isHidden = /(^|\/)\./.test(below);
    const isValue = isTable && status.kind === "file" && keyOfFileName(name) !== null;
    const isForeign = isTable && isForeignTemporaryName(name);
    const isHarmless = isHidden && !name.endsWith(VALUE_SUFFIX);
    if (!isValue && !isForeign && !isHarmless) lost.push(path);
    return false;
  });
  return lost.sort();
}

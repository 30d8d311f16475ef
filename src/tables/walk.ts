/** Walks what is below a directory of tables. Names and kinds alone, so other processes may write. */

import type { FileStatus, Storage } from "../file/mod.ts";

/** A file or a directory below the root. */
export interface Found {
  readonly name: string;
  readonly path: string;
  /** Path below the root. */
  readonly below: string;
  /** The same of its directory; empty for the root itself. */
  readonly parent: string;
  readonly status: FileStatus;
  /** True for a symbolic link to a directory on the way down. It is not entered. */
  readonly isCircle: boolean;
}

/**
 * Calls `visit` for what is found, in no order, and goes down into a directory if it returns true. Names that
 * `isWanted` refuses are passed over unseen. So is what was removed since it was listed, and a link to
 * nothing: no call sees a key or a table there. Does nothing if the root is not a directory.
 */
export function walkTables(
  storage: Storage,
  root: string,
  visit: (found: Found) => boolean,
  isWanted: (name: string, below: string) => boolean = () => true,
): void {
  const walk = (parent: string, above: readonly string[]) => {
    for (const name of storage.walkDirectory(parent === "" ? root : `${root}/${parent}`)) {
      const below = parent === "" ? name : `${parent}/${name}`;
      if (!isWanted(name, below)) continue;
      const path = `${root}/${below}`;
      const status = storage.statusOrNull(path);
      if (status === null) continue;
      const isCircle = above.includes(identity(status));
      const enters = visit({ name, path, below, parent, status, isCircle });
      if (enters && !isCircle && status.kind === "directory") {
        walk(below, [...above, identity(status)]);
      }
    }
  };
  const status = storage.statusOrNull(root);
  if (status?.kind === "directory") walk("", [identity(status)]);
}

/** What tells a directory from others. */
export function identity(status: FileStatus): string {
  return `${status.device}:${status.inode}`;
}

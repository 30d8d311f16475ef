/** Walks what is below a directory of tables. Names and kinds alone, so other processes may write. */

import {
  concernsOneFile,
  type FileStatus,
  isLostAndFound,
  nullIfCode,
  type OsError,
  type Storage,
} from "../file/mod.ts";

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
 * nothing: no call sees a key or a table there. So is what a file system has made for itself at its top. Does
 * nothing if the root is not a directory. What cannot be opened is given to `onClosed`, which may throw.
 */
export function walkTables(
  storage: Storage,
  root: string,
  visit: (found: Found) => boolean,
  isWanted: (name: string, below: string) => boolean = () => true,
  onClosed?: (path: string, error: OsError) => void,
): void {
  const orClosed = <Result>(path: string, call: () => Result): Result | null => {
    try {
      return call();
    } catch (error) {
      if (onClosed === undefined || !concernsOneFile(error, "table")) throw error;
      onClosed(path, error);
      return null;
    }
  };
  const walk = (parent: string, above: readonly string[]) => {
    const directory = parent === "" ? root : `${root}/${parent}`;
    const names = namesIn(storage, directory);
    for (let name; (name = orClosed(directory, () => names.next().value ?? null)) !== null;) {
      const below = parent === "" ? name : `${parent}/${name}`;
      if (!isWanted(name, below)) continue;
      const path = `${root}/${below}`;
      const status = orClosed(path, () => storage.statusOrNull(path));
      if (status === null || parent === "" && isLostAndFound(storage, path)) continue;
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

/** The names in a directory; none, or no more, once it is removed. */
export function* namesIn(storage: Storage, directory: string): Generator<string> {
  const names = storage.walkDirectory(directory)[Symbol.iterator]();
  while (true) {
    const next = nullIfCode(() => names.next(), "ENOENT", "ENOTDIR");
    if (next === null || next.done) return;
    yield next.value;
  }
}

/** What tells a directory from others. */
export function identity(status: FileStatus): string {
  return `${status.device}:${status.inode}`;
}

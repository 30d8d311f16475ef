/**
 * What a backup copies as it lies, because it has no format of its own: tables, and files in `keyspaces/` that
 * are no keyspaces. The names are those on the disk, whatever their bytes, so nothing is left out that a list
 * of keys or keyspaces does not show. What a killed process leaves does not belong to a backup.
 */

import { CorruptError } from "../base/errors.ts";
import { printablePath } from "../base/printable.ts";
import { directoryPaths } from "../counters/commitlog/mod.ts";
import { decodeKeyspaceName, isTemporaryName } from "../counters/keyspace/mod.ts";
import { concernsOneFile, type FileStatus, isLostAndFound, type Storage } from "../file/mod.ts";
import { type Inventoried, inventory } from "../tables/mod.ts";
import { pathsBelow } from "./copy_files.ts";

export interface Inventory {
  /** Null if the directory has no tables. */
  readonly tables: readonly Inventoried[] | null;
  /** Files below `keyspaces/` that are no keyspaces. */
  readonly foreign: readonly string[];
}

/**
 * Throws `CorruptError`, naming all of it, if something cannot be copied: a FIFO, a socket or a device, what
 * cannot be opened, a directory with the name of a keyspace, or a file with that of one of the directories. A
 * partial copy must not look whole. Throws `OsError`.
 */
export function takeInventory(storage: Storage, data: string): Inventory {
  const { keyspaces, tables: root, logs, db } = directoryPaths(data);
  const impossible: string[] = [];
  const tables = storage.statusOrNull(root) === null
    ? null
    : inventory(storage, root, (path) => impossible.push(path));
  impossible.push(
    ...(tables ?? []).filter(({ kind }) => kind === "other").map(({ below }) => `${root}/${below}`),
    ...[logs, keyspaces, root, db].filter((path) =>
      (storage.statusOrNull(path)?.kind ?? "directory") !== "directory"
    ),
  );
  const foreign: string[] = [];
  const names = storage.statusOrNull(keyspaces)?.kind === "directory"
    ? storage.readDirectory(keyspaces).filter((name) =>
      !isTemporaryName(name) && !isLostAndFound(storage, `${keyspaces}/${name}`)
    )
    : [];
  for (const name of names.sort()) {
    const kind = kindOf(storage, `${keyspaces}/${name}`);
    const isKeyspace = decodeKeyspaceName(name) !== null;
    if (kind === "other" || kind === "directory" && isKeyspace) {
      impossible.push(`${keyspaces}/${name}`);
    } else if (kind === "directory") {
      const below = pathsBelow(storage, `${keyspaces}/${name}`, "file");
      foreign.push(...below.map((path) => `${name}/${path}`));
    } else if (kind === "file" && !isKeyspace) foreign.push(name);
  }
  const [first] = impossible;
  if (first === undefined) return { tables, foreign };
  const list = impossible.map((path) => `\n  ${printablePath(path)}`).join("");
  throw new CorruptError(
    `The backup of ${data} would leave out what cannot be copied: move it out of the way${list}`,
    { path: first, offset: 0 },
  );
}

/** What a name leads to; `other` if it cannot be told, as for a link that leads to itself. */
function kindOf(storage: Storage, path: string): FileStatus["kind"] | undefined {
  try {
    return storage.statusOrNull(path)?.kind;
  } catch (error) {
    if (!concernsOneFile(error, "keyspace")) throw error;
    return "other";
  }
}

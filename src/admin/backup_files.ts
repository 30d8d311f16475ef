/**
 * What a backup copies as it lies, because it has no format of its own: tables, and files in `keyspaces/` that
 * are no keyspaces. The names are those on the disk, whatever their bytes, so nothing is left out that a list
 * of keys or keyspaces does not show. What a killed process leaves does not belong to a backup.
 */

import { CorruptError } from "../base/errors.ts";
import { printablePath } from "../base/printable.ts";
import { directoryPaths } from "../counters/commitlog/mod.ts";
import { decodeKeyspaceName, isTemporaryName } from "../counters/keyspace/mod.ts";
import type { Storage } from "../file/mod.ts";
import { type Inventoried, inventory } from "../tables/mod.ts";
import { pathsBelow } from "./copy_files.ts";

export interface Inventory {
  /** Null if the directory has no tables. */
  readonly tables: readonly Inventoried[] | null;
  /** Files below `keyspaces/` that are no keyspaces. */
  readonly foreign: readonly string[];
}

/**
 * Throws `CorruptError`, naming all of it, if something cannot be copied: a FIFO, a socket or a device, a
 * directory with the name of a keyspace, or a file with that of one of the directories. A partial copy must not look whole. Throws `OsError`.
 */
export function takeInventory(storage: Storage, data: string): Inventory {
  const { keyspaces, tables: root, logs, db } = directoryPaths(data);
  const tables = storage.statusOrNull(root) === null ? null : inventory(storage, root);
  const impossible = (tables ?? []).filter(({ kind }) => kind === "other")
    .map(({ below }) => `${root}/${below}`);
  impossible.push(
    ...[logs, keyspaces, root, db].filter((path) =>
      (storage.statusOrNull(path)?.kind ?? "directory") !== "directory"
    ),
  );
  const foreign: string[] = [];
  const names = storage.statusOrNull(keyspaces)?.kind === "directory"
    ? storage.readDirectory(keyspaces).filter((name) => !isTemporaryName(name))
    : [];
  for (const name of names.sort()) {
    const kind = storage.statusOrNull(`${keyspaces}/${name}`)?.kind;
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

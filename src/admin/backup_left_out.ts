/**
 * Finds what a backup would leave out silently, because no name of countd leads to it: a backup copies
 * keyspaces by their names and tables key by key. What a killed process leaves, and what recovery and repair
 * keep aside (`cut-…`, `repair-saved`, `.torn-…`), does not belong to a backup.
 */

import { directoryPaths } from "../counters/commitlog/mod.ts";
import { decodeKeyspaceName } from "../counters/keyspace/mod.ts";
import { unreachablePaths } from "../tables/mod.ts";
import type { Storage } from "../file/mod.ts";

/** The paths, in order. Throws `OsError`. */
export function leftOutPaths(storage: Storage, data: string): string[] {
  const { keyspaces, tables } = directoryPaths(data);
  return [
    ...foreignKeyspaces(storage, keyspaces),
    ...unreachablePaths(storage, tables),
  ];
}

/**
 * Files whose names no keyspace has, and what has the name of a keyspace and is not a file. Hidden ones are
 * unfinished, or belong to the file system, as `lost+found` does.
 */
function foreignKeyspaces(storage: Storage, keyspaces: string): string[] {
  if (storage.statusOrNull(keyspaces)?.kind !== "directory") return [];
  return storage.readDirectory(keyspaces).sort().filter((name) => {
    if (name.startsWith(".")) return false;
    const kind = storage.statusOrNull(`${keyspaces}/${name}`)?.kind;
    if (kind === undefined) return false;
    return (decodeKeyspaceName(name) === null) === (kind === "file") || kind === "other";
  }).map((name) => `${keyspaces}/${name}`);
}

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

/** Files whose names no keyspace has. Hidden ones are unfinished, or belong to the file system. */
function foreignKeyspaces(storage: Storage, keyspaces: string): string[] {
  if (storage.statusOrNull(keyspaces)?.kind !== "directory") return [];
  return storage.readDirectory(keyspaces).sort()
    .filter((name) => !name.startsWith(".") && decodeKeyspaceName(name) === null)
    .map((name) => `${keyspaces}/${name}`)
    .filter((path) => storage.statusOrNull(path)?.kind === "file");
}

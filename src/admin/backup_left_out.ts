/**
 * What a backup would leave out without a word, because no name of countd leads to it: it copies
 * keyspaces by their names and tables key by key. What a process that was killed leaves, and
 * what recovery and repair put aside (`cut-…`, `repair-saved`, `.torn-…`), is no part of a backup.
 */

import { directoryPaths } from "../counters/commitlog/mod.ts";
import { decodeKeyspaceName } from "../counters/keyspace/mod.ts";
import { unreachablePaths } from "../tables/mod.ts";
import type { Storage } from "../file/mod.ts";

/** Paths of all of it, in order. Throws `OsError`. */
export function leftOutPaths(storage: Storage, data: string): string[] {
  const { keyspaces, tables } = directoryPaths(data);
  return [
    ...foreignKeyspaces(storage, keyspaces),
    ...unreachablePaths(storage, tables),
  ];
}

/** Files whose names no keyspace has. A hidden one is in the making, or came with the file system. */
function foreignKeyspaces(storage: Storage, keyspaces: string): string[] {
  if (storage.statusOrNull(keyspaces)?.kind !== "directory") return [];
  return storage.readDirectory(keyspaces).sort()
    .filter((name) => !name.startsWith(".") && decodeKeyspaceName(name) === null)
    .map((name) => `${keyspaces}/${name}`)
    .filter((path) => storage.statusOrNull(path)?.kind === "file");
}

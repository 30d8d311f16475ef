/**
 * What a backup would leave out without a word, because no name of countd leads to it: it copies logs by
 * their slots, keyspaces by their names and tables key by key. What a process that was killed leaves, and
 * what recovery and repair put aside (`cut-…`, `repair-saved`, `.torn-…`), is no part of a backup.
 */

import {
  directoryPaths,
  headPageBytes,
  listSlots,
  lockPathOfSlot,
  newestHeader,
} from "../commitlog/mod.ts";
import { decodeKeyspaceName } from "../keyspace/mod.ts";
import { unreachablePaths } from "../table/mod.ts";
import type { Storage } from "../file/mod.ts";
import { isCode } from "./copy_files.ts";

/** Paths of all of it, in order. Throws `OsError`. */
export function leftOutPaths(storage: Storage, data: string): string[] {
  const { logs, keyspaces, tables } = directoryPaths(data);
  return [
    ...namelessLogs(storage, logs),
    ...foreignKeyspaces(storage, keyspaces),
    ...unreachablePaths(storage, tables),
  ];
}

/** Logs that have been written to and kept their lock name alone. */
function namelessLogs(storage: Storage, logs: string): string[] {
  if (storage.statusOrNull(logs)?.kind !== "directory") return [];
  return listSlots(storage, logs).unfinished
    .map((slot) => lockPathOfSlot(logs, slot))
    .filter((path) => hasBeenClaimed(storage, path));
}

/** False for a log that is being made: its first header says that it is free. */
function hasBeenClaimed(storage: Storage, path: string): boolean {
  const head = new Uint8Array(headPageBytes);
  try {
    using file = storage.open(path, { access: "read" });
    file.read(head, 0);
  } catch (error) {
    if (isCode(error, "ENOENT")) return false;
    throw error;
  }
  const header = newestHeader(head)?.header;
  return header !== undefined && header.state !== "free";
}

/** Files whose names no keyspace has. A hidden one is in the making, or came with the file system. */
function foreignKeyspaces(storage: Storage, keyspaces: string): string[] {
  if (storage.statusOrNull(keyspaces)?.kind !== "directory") return [];
  return storage.readDirectory(keyspaces).sort()
    .filter((name) => !name.startsWith(".") && decodeKeyspaceName(name) === null)
    .map((name) => `${keyspaces}/${name}`)
    .filter((path) => storage.statusOrNull(path)?.kind === "file");
}

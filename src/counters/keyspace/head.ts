/** What the head of a keyspace file says, for those who need no counter of it. */

import { hasCode, type Storage } from "../../file/mod.ts";
import { readTreeHead, type TreeHead } from "../tree/mod.ts";
import { notRegular } from "./reader.ts";

/**
 * Reads the head of a file: by four system calls, whatever the size of the keyspace. Null if it does not exist.
 * Throws as `KeyspaceReader.open`.
 */
export function keyspaceHead(storage: Storage, path: string): TreeHead | null {
  // To open a FIFO would wait for a writer of it.
  const kind = storage.statusOrNull(path)?.kind;
  if (kind === undefined) return null;
  if (kind !== "file") throw notRegular(path);
  try {
    using file = storage.open(path, { access: "read" });
    return readTreeHead(file);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return null;
    throw error;
  }
}

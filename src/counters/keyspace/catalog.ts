/**
 * The directory of keyspaces: one file each, `keyspaces/<encoded name>`.
 *
 * Invariant: a name in the directory is a keyspace, or temporary, or foreign. The name alone tells the
 * first two apart, and the keyspace's full name is in the file.
 */

import { Buffer } from "node:buffer";
import { CorruptError } from "../../base/errors.ts";
import { type FormatError, isFormatError } from "../../base/format.ts";
import {
  concernsOneFile,
  hasCode,
  nullIfCode,
  type OsError,
  type Storage,
} from "../../file/mod.ts";
import { decodeKeyspaceName, encodeKeyspaceName } from "./name.ts";
import { KeyspaceReader } from "./reader.ts";

const TEMPORARY_PREFIX = ".new-";

export interface KeyspaceEntry {
  readonly name: Uint8Array;
  readonly path: string;
}

/** Where the file of a keyspace is, or would be. */
export function keyspacePath(directory: string, name: Uint8Array): string {
  return `${directory}/${encodeKeyspaceName(name)}`;
}

/** Where a keyspace is made before it gets its name. */
export function temporaryPath(directory: string, name: Uint8Array): string {
  return `${directory}/${TEMPORARY_PREFIX}${encodeKeyspaceName(name)}`;
}

/** Whether a file name is that of an unfinished keyspace. */
export function isTemporaryName(fileName: string): boolean {
  return fileName.startsWith(TEMPORARY_PREFIX);
}

/** Whether a file name is hidden: an unfinished keyspace, or a file of another program. */
export function isHiddenName(fileName: string): boolean {
  return fileName.startsWith(".");
}

/**
 * Lists all keyspaces, in byte order of their names. Names of other things are left out. So is a keyspace
 * whose long name cannot be read, because its file is damaged, of another format, or cannot be opened; then
 * `onFailure` is called. A missing directory has none.
 */
export function listKeyspaces(
  storage: Storage,
  directory: string,
  onFailure: (error: CorruptError | FormatError | OsError) => void = () => {},
): KeyspaceEntry[] {
  const entries: KeyspaceEntry[] = [];
  for (const fileName of fileNames(storage, directory)) {
    const path = `${directory}/${fileName}`;
    const name = decodeKeyspaceName(fileName);
    if (name === null) continue;
    if (name !== "hashed") {
      entries.push({ name, path });
      continue;
    }
    try {
      using reader = KeyspaceReader.open(storage, path);
      entries.push({ name: reader.name, path });
    } catch (error) {
      if (hasCode(error, "ENOENT")) continue;
      const isOfOne = error instanceof CorruptError || isFormatError(error) ||
        concernsOneFile(error, "keyspace");
      if (!isOfOne) throw error;
      onFailure(error);
    }
  }
  return entries.sort((a, b) => Buffer.compare(a.name, b.name));
}

/**
 * Removes unfinished keyspaces that a crash left. Only for the process that folds, because no other makes
 * keyspaces. Returns the removed paths.
 */
export function sweepKeyspaces(storage: Storage, directory: string): string[] {
  const swept: string[] = [];
  for (const fileName of fileNames(storage, directory)) {
    if (!isTemporaryName(fileName)) continue;
    const path = `${directory}/${fileName}`;
    nullIfCode(() => storage.unlink(path), "ENOENT");
    swept.push(path);
  }
  return swept;
}

function fileNames(storage: Storage, directory: string): string[] {
  try {
    return storage.readDirectory(directory);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

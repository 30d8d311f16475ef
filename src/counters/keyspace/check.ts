/** Finds every broken rule of keyspaces. Changes nothing. The numbers are those of README.md. */

import { Buffer } from "node:buffer";
import { basename } from "node:path/posix";
import type { Storage } from "../../file/mod.ts";
import { checkTreeFile, TreeReader, type Violation } from "../tree/mod.ts";
import { CorruptError } from "../../base/errors.ts";
import { printableName } from "../../base/printable.ts";
import { isHiddenName, isTemporaryName } from "./catalog.ts";
import { decodeKeyspaceName, encodeKeyspaceName } from "./name.ts";

/** The rules of `src/counters/tree` have the numbers 1 to 11. */
export const CHECK_OWN_NAME = 12;
export const CHECK_FILE_NAME = 13;

/**
 * Checks the file of one keyspace. Throws `OsError` if it cannot be read, and `NewerFormatError` and
 * `OldFormatError` if it is of another format.
 */
export function check(storage: Storage, path: string): Violation[] {
  const fileName = basename(path);
  const kind = storage.statusOrNull(path)?.kind ?? "file";
  if (kind !== "file") return notRegular(path, { fileName, kind });
  const violations = checkTreeFile(storage, path);
  // An unfinished keyspace is checked under its temporary name.
  if (isTemporaryName(fileName)) return violations;
  const expected = decodeKeyspaceName(fileName);
  if (expected === null) {
    const message = `No keyspace has the file name ${JSON.stringify(fileName)}`;
    return [...violations, { invariant: CHECK_FILE_NAME, path, offset: 0, message }];
  }
  const name = storedName(storage, path);
  if (name === null) return violations;
  const fits = expected === "hashed"
    ? encodeKeyspaceName(name) === fileName
    : Buffer.compare(expected, name) === 0;
  if (fits) return violations;
  const message = `The file holds keyspace ${printableName(name)}, which has another file name`;
  return [...violations, { invariant: CHECK_OWN_NAME, path, offset: 0, message }];
}

/** Checks all keyspaces in a directory; a missing directory has none. */
export function checkKeyspaces(storage: Storage, directory: string): Violation[] {
  if (storage.statusOrNull(directory) === null) return [];
  return storage.readDirectory(directory).sort()
    .filter((fileName) => !isHiddenName(fileName))
    .flatMap((fileName) => check(storage, `${directory}/${fileName}`));
}

/** A directory such as `lost+found`, whose name no keyspace has, is not a violation. */
function notRegular(
  path: string,
  { fileName, kind }: { readonly fileName: string; readonly kind: string },
): Violation[] {
  if (kind === "directory" && decodeKeyspaceName(fileName) === null) return [];
  const message = "This is not a regular file: move it away";
  return [{ invariant: CHECK_FILE_NAME, path, offset: 0, message }];
}

function storedName(storage: Storage, path: string): Uint8Array | null {
  try {
    using file = storage.open(path, { access: "read" });
    return new TreeReader(file).name;
  } catch (error) {
    if (error instanceof CorruptError) return null;
    throw error;
  }
}

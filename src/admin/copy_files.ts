/** Copies, sums, lists and removes files and trees of files, on one storage. */

import { crc32 } from "node:zlib";
import {
  hasCode,
  makeDirectories,
  nullIfCode,
  type Storage,
  type StoredFile,
} from "../file/mod.ts";

const CHUNK_BYTES = 1024 * 1024;

export interface CopiedFile {
  readonly bytes: number;
  /** CRC-32 of the whole content. */
  readonly checksum: number;
}

/** Copies a file into a new one, and syncs it. */
export function copyFile(
  storage: Storage,
  { from, to }: { readonly from: string; readonly to: string },
): CopiedFile {
  using source = storage.open(from, { access: "read" });
  return copyOpenFile(storage, source, { to });
}

/** As `copyFile`, of a file that is open already. */
export function copyOpenFile(
  storage: Storage,
  source: StoredFile,
  { to, mode = 0o600 }: { readonly to: string; readonly mode?: number },
): CopiedFile {
  using target = storage.open(to, { access: "write", create: "exclusive", mode });
  const copied = readThrough(source, (part, offset) => target.write(part, offset));
  target.sync();
  return copied;
}

/** Reads a file, and calls `visit` for each part, which it may not keep. */
function readThrough(
  source: StoredFile,
  visit: (part: Uint8Array, offset: number) => void,
): CopiedFile {
  const chunk = new Uint8Array(CHUNK_BYTES);
  let bytes = 0;
  let checksum = 0;
  while (true) {
    const part = chunk.subarray(0, source.read(chunk, bytes));
    if (part.length === 0) return { bytes, checksum };
    visit(part, bytes);
    checksum = crc32(part, checksum);
    bytes += part.length;
  }
}

/**
 * Opens a file for reading whose mode may forbid that even to its owner, as that of a sealed log does. Only
 * such a mode is widened, and only while the file is opened.
 */
export function openWhateverTheMode(storage: Storage, path: string): StoredFile {
  const file = nullIfCode(() => storage.open(path, { access: "read" }), "EACCES");
  if (file !== null) return file;
  const { mode } = storage.status(path);
  storage.chmod(path, mode | 0o400);
  try {
    return storage.open(path, { access: "read" });
  } finally {
    storage.chmod(path, mode);
  }
}

/** Size and checksum of a file as it is. */
export function checksumOf(storage: Storage, path: string): CopiedFile {
  using file = storage.open(path, { access: "read" });
  return readThrough(file, () => {});
}

/** Paths of all files, or of all directories, below a directory: relative to it, in order, outer ones first. */
export function pathsBelow(
  storage: Storage,
  directory: string,
  wanted: "file" | "directory",
  below = "",
): string[] {
  return storage.readDirectory(directory + below).sort().flatMap((name) => {
    const path = `${below}/${name}`;
    const kind = storage.statusOrNull(directory + path)?.kind;
    const here = kind === wanted ? [path.slice(1)] : [];
    if (kind !== "directory") return here;
    return [...here, ...pathsBelow(storage, directory, wanted, path)];
  });
}

/**
 * Removes a directory with everything in it, or a file, if it exists. Of a symbolic link only the link is
 * removed: `rmdir` never follows one, and fails with ENOTDIR.
 */
export function removeTree(storage: Storage, path: string): void {
  try {
    storage.removeDirectory(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    if (hasCode(error, "ENOTDIR")) return storage.unlink(path);
    if (!hasCode(error, "ENOTEMPTY", "EEXIST")) throw error;
    for (const name of storage.readDirectory(path)) removeTree(storage, `${path}/${name}`);
    storage.removeDirectory(path);
  }
}

/** Makes a directory and its parents, of mode 0700. */
export function makePlace(storage: Storage, directory: string): void {
  makeDirectories(storage, directory, 0o700);
}

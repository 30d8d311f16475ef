/** Copies, sums, lists and removes files and trees of files, on one storage. */

import { crc32 } from "node:zlib";
import { hasCode, makeDirectories, type Storage, type StoredFile } from "../file/mod.ts";

const CHUNK_BYTES = 1024 * 1024;

export interface CopiedFile {
  readonly bytes: number;
  /** CRC-32 of the whole content. */
  readonly checksum: number;
}

/** Copies the first `length` bytes of a file (by default all of it) into a new file, and syncs it. */
export function copyFile(
  storage: Storage,
  { from, to, length = Infinity }: {
    readonly from: string;
    readonly to: string;
    readonly length?: number;
  },
): CopiedFile {
  using source = storage.open(from, { access: "read" });
  return copyOpenFile(storage, source, { to, length });
}

/** As `copyFile`, of a file that is open already. */
export function copyOpenFile(
  storage: Storage,
  source: StoredFile,
  { to, length = Infinity, mode = 0o600 }: {
    readonly to: string;
    readonly length?: number;
    readonly mode?: number;
  },
): CopiedFile {
  using target = storage.open(to, { access: "write", create: "exclusive", mode });
  const chunk = new Uint8Array(CHUNK_BYTES);
  let offset = 0;
  let checksum = 0;
  while (offset < length) {
    const read = source.read(chunk.subarray(0, Math.min(chunk.length, length - offset)), offset);
    if (read === 0) break;
    const part = chunk.subarray(0, read);
    target.write(part, offset);
    checksum = crc32(part, checksum);
    offset += read;
  }
  target.sync();
  return { bytes: offset, checksum };
}

/**
 * Opens a file for reading whose mode may forbid that even to its owner, as that of a sealed log does. Only
 * such a mode is widened, and only while the file is opened.
 */
export function openWhateverTheMode(storage: Storage, path: string): StoredFile {
  try {
    return storage.open(path, { access: "read" });
  } catch (error) {
    if (!hasCode(error, "EACCES")) throw error;
  }
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
  const chunk = new Uint8Array(CHUNK_BYTES);
  let offset = 0;
  let checksum = 0;
  while (true) {
    const read = file.read(chunk, offset);
    if (read === 0) return { bytes: offset, checksum };
    checksum = crc32(chunk.subarray(0, read), checksum);
    offset += read;
  }
}

/** Paths of all files below a directory, relative to it, in order. */
export function filesBelow(storage: Storage, directory: string, below = ""): string[] {
  const here = below === "" ? directory : `${directory}/${below}`;
  return storage.readDirectory(here).sort().flatMap((name) => {
    const path = below === "" ? name : `${below}/${name}`;
    const kind = storage.statusOrNull(`${directory}/${path}`)?.kind;
    if (kind === "directory") return filesBelow(storage, directory, path);
    return kind === "file" ? [path] : [];
  });
}

/** Paths of all directories below a directory, relative to it, outer ones first. */
export function directoriesBelow(storage: Storage, directory: string, below = ""): string[] {
  const here = below === "" ? directory : `${directory}/${below}`;
  return storage.readDirectory(here).sort().flatMap((name) => {
    const path = below === "" ? name : `${below}/${name}`;
    if (storage.statusOrNull(`${directory}/${path}`)?.kind !== "directory") return [];
    return [path, ...directoriesBelow(storage, directory, path)];
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

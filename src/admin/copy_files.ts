/** Copies, sums, lists and removes files and trees of files, on one storage. */

import { crc32 } from "node:zlib";
import { undoOnError } from "../base/undo_on_error.ts";
import {
  type FileIdentity,
  type FileStatus,
  hasCode,
  isLostAndFound,
  isSameFile,
  makeDirectories,
  nullIfCode,
  type Storage,
  type StoredFile,
} from "../file/mod.ts";

const CHUNK_BYTES = 1024 * 1024;
/** Of a hole, the part that is summed up at once. It stays in the cache of the processor. */
const HOLE_BYTES = 65536;

export interface Summed {
  readonly bytes: number;
  /** CRC-32 of the whole content. */
  readonly checksum: number;
}

export interface CopyOptions {
  readonly to: string;
  /** Default 0600. */
  readonly mode?: number;
  /** True for a file that is changed in place: it is marked as a new one would be (`avoidCopyOnWrite`). */
  readonly isOverwritten?: boolean;
}

/** Copies a file into a new one, and syncs it. Holes stay holes. Returns the number of bytes. */
export function copyFile(
  storage: Storage,
  { from, ...options }: CopyOptions & { readonly from: string },
): number {
  using source = storage.open(from, { access: "read" });
  using target = make(storage, options);
  const bytes = copyInto(source, target);
  target.sync();
  return bytes;
}

/** As `copyFile`, of a file that is open already. The caller syncs. */
export function copyOpenFile(storage: Storage, source: StoredFile, options: CopyOptions): void {
  using target = make(storage, options);
  copyInto(source, target);
}

function make(
  storage: Storage,
  { to, mode = 0o600, isOverwritten = false }: CopyOptions,
): StoredFile {
  const target = storage.open(to, { access: "write", create: "exclusive", mode });
  if (isOverwritten) undoOnError(() => target.close(), () => target.avoidCopyOnWrite());
  return target;
}

function copyInto(source: StoredFile, target: StoredFile): number {
  const { size, allocatedBytes } = source.status();
  // Space that was allocated for later stores is a hole, too: the copy gets as much.
  if (size > 0 && allocatedBytes >= size) target.allocate(0, size);
  const bytes = readThrough(source, {
    data: (part, offset) => target.write(part, offset),
    hole: () => {},
  });
  if (target.status().size !== bytes) target.truncate(bytes);
  return bytes;
}

/** Visits what a file has, in order: parts of data, which may not be kept, and holes. Returns its length. */
function readThrough(
  source: StoredFile,
  { data, hole }: {
    readonly data: (part: Uint8Array, offset: number) => void;
    readonly hole: (length: number) => void;
  },
): number {
  let chunk = new Uint8Array(0);
  let bytes = 0;
  while (true) {
    const range = source.nextData(bytes);
    const start = range?.start ?? source.status().size;
    if (start > bytes) hole(start - bytes);
    bytes = Math.max(bytes, start);
    if (range === null) return bytes;
    const wanted = Math.min(CHUNK_BYTES, range.end - bytes);
    if (chunk.length < wanted) chunk = new Uint8Array(wanted);
    while (bytes < range.end) {
      const length = source.read(chunk.subarray(0, range.end - bytes), bytes);
      // The file was truncated since.
      if (length === 0) return bytes;
      data(chunk.subarray(0, length), bytes);
      bytes += length;
    }
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

/** What the owner of a directory needs to list it, and to reach what is in it. */
export const OWNER_MAY_LIST = 0o500;

/**
 * Calls `body` while this user can list and enter every directory below `directory`: modes that forbid that, even
 * to the owner, are widened until then. `body` gets the paths of these directories, relative and outer ones first.
 */
export function withOpenDirectories<Result>(
  storage: Storage,
  directory: string,
  body: (opened: readonly string[]) => Result,
): Result {
  const opened: { readonly below: string; readonly mode: number }[] = [];
  const open = (below: string, above: readonly FileIdentity[]) => {
    const path = directory + below;
    const list = () =>
      storage.readDirectory(path).sort().map((name) => ({
        name,
        status: storage.statusOrNull(`${path}/${name}`),
      }));
    let found = nullIfCode(list, "EACCES");
    if (found === null) {
      const { mode } = storage.status(path);
      storage.chmod(path, mode | OWNER_MAY_LIST);
      opened.push({ below, mode });
      found = list();
    }
    for (const { name, status } of found) {
      if (status?.kind !== "directory" || above.some((outer) => isSameFile(outer, status))) {
        continue;
      }
      const isSkipped = above.length <= MOUNT_LEVELS && isLostAndFound(storage, `${path}/${name}`);
      if (!isSkipped) open(`${below}/${name}`, [...above, status]);
    }
  };
  try {
    open("", [storage.status(directory)]);
    return body(opened.map(({ below }) => below.slice(1)));
  } finally {
    for (const { below, mode } of opened.reverse()) storage.chmod(directory + below, mode);
  }
}

/** Size and checksum of a file as it is. */
export function checksumOf(storage: Storage, path: string): Summed {
  using file = storage.open(path, { access: "read" });
  const zeros = new Uint8Array(HOLE_BYTES);
  let checksum = 0;
  const bytes = readThrough(file, {
    data: (part) => checksum = crc32(part, checksum),
    hole(length) {
      for (let left = length; left > 0; left -= zeros.length) {
        checksum = crc32(zeros.subarray(0, left), checksum);
      }
    },
  });
  return { bytes, checksum };
}

/** A data directory, or a directory in it such as that of the tables, may be a file system of its own. */
const MOUNT_LEVELS = 2;

/**
 * Paths of all files of one kind below a directory: relative to it, in order, outer ones first. A
 * link that leads back to a directory above it is left out, and so is what a file system has made for itself.
 */
export function pathsBelow(
  storage: Storage,
  directory: string,
  wanted: FileStatus["kind"],
): string[] {
  const list = (below: string, above: readonly FileIdentity[]): string[] =>
    storage.readDirectory(directory + below).sort().flatMap((name) => {
      const path = `${below}/${name}`;
      if (above.length <= MOUNT_LEVELS && isLostAndFound(storage, directory + path)) return [];
      const status = storage.statusOrNull(directory + path);
      const isCircle = status !== null && above.some((outer) => isSameFile(outer, status));
      if (status === null || isCircle) return [];
      const here = status.kind === wanted ? [path.slice(1)] : [];
      return status.kind === "directory" ? [...here, ...list(path, [...above, status])] : here;
    });
  return list("", [storage.status(directory)]);
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

/** True for a path below a data directory of a file that is changed in place: see `CopyOptions`. */
export function isOverwrittenInPlace(below: string): boolean {
  return below === "control" || below.startsWith("db/");
}

/** Makes a directory and its parents, of mode 0700. */
export function makePlace(storage: Storage, directory: string): void {
  makeDirectories(storage, directory, 0o700);
}

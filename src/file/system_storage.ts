/** The running system behind `Storage`. */

import { hasCode } from "./failures.ts";
import * as ffi from "../../ffi/mod.ts";
import { OsError, PAGE_SIZE_BYTES } from "../../ffi/mod.ts";
import type { FaultPlan } from "./fault.ts";
import type {
  FaultPoint,
  FileStatus,
  OpenFileSystem,
  OpenOptions,
  Storage,
  StoredFile,
} from "./storage.ts";
import { fileStatus, SystemFile } from "./system_file.ts";
import { SystemFileSystem } from "./system_file_system.ts";

/** Options of `systemStorage`. There are none for production. */
export interface SystemStorageOptions {
  /**
   * A test's order to stop or fail at a named place (see `fault.ts`). None in production.
   *
   * @internal
   */
  readonly fault?: FaultPlan | null;
}

/**
 * Give the storage of this machine: its files, through libc. Needs the permissions `--allow-ffi`,
 * `--allow-read` and `--allow-write`. The process ignores SIGXFSZ from then on, so that a file size
 * limit is an `OsError` (EFBIG) and does not end the process. Throws if the platform is not supported.
 */
export function systemStorage(options: SystemStorageOptions = {}): Storage {
  ffi.ignoreFileSizeSignal();
  return new SystemStorage(options.fault ?? null);
}

/** Of one read of a directory: about a thousand names. */
const DIRECTORY_BATCH_BYTES = 32 * 1024;

class SystemStorage implements Storage {
  readonly pageSize = PAGE_SIZE_BYTES;
  readonly #fault: FaultPlan | null;

  constructor(fault: FaultPlan | null) {
    this.#fault = fault;
  }

  open(path: string, options: OpenOptions): StoredFile {
    this.#fault?.fail("open", path);
    const write = options.access === "write";
    const mode = options.mode ?? 0o600;
    if (options.create === undefined || options.create === "never") {
      const flags = { write, directory: options.kind === "directory" };
      return new SystemFile(ffi.open(path, flags), path, this.#fault);
    }
    while (true) {
      try {
        const descriptor = ffi.open(path, { write, create: true, exclusive: true }, mode);
        const file = new SystemFile(descriptor, path, this.#fault);
        // The umask may have narrowed the mode.
        if (file.status().mode !== mode) file.chmod(mode);
        return file;
      } catch (error) {
        if (options.create === "exclusive" || !hasCode(error, "EEXIST")) throw error;
      }
      try {
        return new SystemFile(ffi.open(path, { write }), path, this.#fault);
      } catch (error) {
        // Removed between the two calls: begin again. A dangling link exists and cannot be opened.
        if (!hasCode(error, "ENOENT") || this.isLink(path)) throw error;
      }
    }
  }

  status(path: string): FileStatus {
    const status = statusOrErrno(path);
    if (typeof status === "string") throw new OsError("stat", path, status);
    return status;
  }

  statusOrNull(path: string): FileStatus | null {
    const status = statusOrErrno(path);
    if (typeof status !== "string") return status;
    if (status === "ENOENT" || status === "ENOTDIR") return null;
    throw new OsError("stat", path, status);
  }

  link(from: string, to: string): void {
    ffi.link(from, to);
  }

  unlink(path: string): void {
    ffi.unlink(path);
  }

  rename(from: string, to: string): void {
    ffi.rename(from, to);
  }

  chmod(path: string, mode: number): void {
    ffi.chmod(path, mode);
  }

  makeDirectory(path: string, mode: number): void {
    ffi.mkdir(path, mode);
    if (this.status(path).mode !== mode) ffi.chmod(path, mode);
  }

  removeDirectory(path: string): void {
    ffi.rmdir(path);
  }

  readDirectory(path: string): string[] {
    return [...this.walkDirectory(path)];
  }

  *walkDirectory(path: string): Iterable<string> {
    this.#fault?.fail("open", path);
    if (!ffi.hasDirectoryBatches()) return yield* this.#listDirectory(path);
    const descriptor = ffi.open(path, { directory: true });
    try {
      const batch = new Uint8Array(DIRECTORY_BATCH_BYTES);
      while (true) {
        const names = ffi.readNames(descriptor, batch, path);
        if (names === null) return;
        yield* names;
      }
    } finally {
      ffi.close(descriptor);
    }
  }

  /** For platforms that give no batches: the whole list at once. */
  *#listDirectory(path: string): Iterable<string> {
    let entries: Iterable<Deno.DirEntry>;
    try {
      entries = Deno.readDirSync(path);
    } catch (cause) {
      throw new OsError("read directory", path, denoErrorCode(cause), { cause });
    }
    for (const { name } of entries) {
      // The runtime puts U+FFFD where a name is not UTF-8: such a name leads nowhere.
      if (name.includes("\ufffd") && this.statusOrNull(`${path}/${name}`) === null) continue;
      yield name;
    }
  }

  syncDirectory(path: string): void {
    this.#fault?.fail("open", path);
    this.#fault?.fail("sync", path);
    const descriptor = ffi.open(path, { directory: true });
    try {
      ffi.fsync(descriptor, path);
    } finally {
      ffi.close(descriptor);
    }
  }

  openFileSystem(path: string): OpenFileSystem {
    this.#fault?.fail("open", path);
    return new SystemFileSystem(path, this.#fault);
  }

  space(path: string): { readonly freeBytes: number; readonly totalBytes: number } {
    return ffi.statvfs(path);
  }

  reach(point: FaultPoint): void {
    this.#fault?.reach(point);
  }

  isLink(path: string): boolean {
    try {
      return Deno.lstatSync(path).isSymlink;
    } catch {
      return false;
    }
  }
}

/** Links that lead to each other lead to no file: such a name is of another kind. */
function statusOrErrno(path: string): FileStatus | string {
  const status = ffi.statOrErrno(path);
  if (status !== "ELOOP") return typeof status === "string" ? status : fileStatus(status);
  try {
    const { isSymlink, dev, ino, uid } = Deno.lstatSync(path);
    if (!isSymlink) return status;
    return {
      kind: "other",
      size: 0,
      mode: 0,
      device: BigInt(dev),
      inode: BigInt(ino ?? 0),
      links: 1,
      owner: uid ?? 0,
      allocatedBytes: 0,
      modifiedMs: 0,
    };
  } catch {
    return status;
  }
}

function denoErrorCode(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") return code;
  if (error instanceof Deno.errors.NotFound) return "ENOENT";
  if (error instanceof Deno.errors.PermissionDenied) return "EACCES";
  return "EIO";
}

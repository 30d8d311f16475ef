/** Descriptors and mappings of the simulated disk. */

import {
  type FileStatus,
  type LockKind,
  type Mapping,
  OsError,
  type StoredFile,
} from "../../src/file/mod.ts";
import type { FileInode, Inode } from "./simulated_inode.ts";
import { PAGE_BYTES } from "./simulated_space.ts";
import type { OperationKind } from "./simulated_operations.ts";
import type { SimulatedStorage } from "./simulated_storage.ts";

export class SimulatedFile implements StoredFile {
  readonly path: string;
  readonly #storage: SimulatedStorage;
  readonly #inode: Inode;
  readonly #access: "read" | "write";
  #open = true;

  constructor(
    storage: SimulatedStorage,
    options: { path: string; inode: Inode; access: "read" | "write" },
  ) {
    this.path = options.path;
    this.#storage = storage;
    this.#inode = options.inode;
    this.#access = options.access;
    if (options.inode.kind === "file") options.inode.descriptors++;
  }

  #perform<T>(kind: OperationKind, body: () => T): T {
    return this.#storage.perform(kind, this.path, () => {
      if (!this.#open) throw new OsError(kind, this.path, "EBADF");
      return body();
    });
  }

  #file(syscall: string): FileInode {
    if (this.#inode.kind === "file") return this.#inode;
    throw new OsError(syscall, this.path, "EISDIR");
  }

  #writable(syscall: string, code = "EBADF"): FileInode {
    if (this.#access !== "write") throw new OsError(syscall, this.path, code);
    return this.#file(syscall);
  }

  status(): FileStatus {
    return this.#perform("status", () => statusOf(this.#inode));
  }

  read(into: Uint8Array, offset: number): number {
    return this.#perform("read", () => {
      requireRange("pread", this.path, offset, into.length);
      return this.#file("pread").read(into, offset);
    });
  }

  /** This disk does not tell where holes are. */
  nextData(offset: number): ReturnType<StoredFile["nextData"]> {
    const { size } = this.status();
    return offset < size ? { start: offset, end: size } : null;
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#perform("write", () => {
      const file = this.#writable("pwrite");
      requireRange("pwrite", this.path, offset, bytes.length);
      file.modifiedMs = this.#storage.disk.tick();
      if (file.write(bytes, offset) < bytes.length) {
        throw new OsError("pwrite", this.path, "ENOSPC");
      }
    });
  }

  allocate(offset: number, length: number): void {
    this.#perform("allocate", () => {
      const file = this.#writable("posix_fallocate");
      requireRange("posix_fallocate", this.path, offset, length);
      if (length === 0) throw new OsError("posix_fallocate", this.path, "EINVAL");
      if (file.allocate(offset, length, { partly: false }) < length) {
        throw new OsError("posix_fallocate", this.path, "ENOSPC");
      }
      file.grow(offset + length);
    });
  }

  avoidCopyOnWrite(): boolean {
    return true;
  }

  deallocate(offset: number, length: number): boolean {
    return this.#perform("deallocate", () => {
      if (this.#access !== "write" || this.#inode.kind !== "file" || length <= 0) return false;
      this.#inode.deallocate(offset, length);
      return true;
    });
  }

  truncate(size: number): void {
    this.#perform("truncate", () => {
      const file = this.#writable("ftruncate", "EINVAL");
      requireRange("ftruncate", this.path, size, 0);
      file.truncate(size);
      file.modifiedMs = this.#storage.disk.tick();
    });
  }

  chmod(mode: number): void {
    this.#perform("chmod", () => this.#storage.disk.changeMode(this.#inode, mode));
  }

  syncData(): void {
    this.#sync("sync data", () => {
      if (this.#inode.kind === "file") this.#inode.sync();
      else this.#storage.disk.syncDirectory(this.#inode);
    });
  }

  sync(): void {
    this.#sync("sync", () => {
      if (this.#inode.kind === "directory") this.#storage.disk.syncDirectory(this.#inode);
      else {
        this.#inode.sync();
        this.#storage.disk.syncMode(this.#inode);
      }
    });
  }

  /** A failed sync leaves pages that the kernel takes for written although they are not. */
  #sync(kind: OperationKind, body: () => void): void {
    try {
      this.#perform(kind, body);
    } catch (error) {
      this.#afterFailedSync(error);
      throw error;
    }
  }

  #afterFailedSync(error: unknown): void {
    if (error instanceof OsError && error.code !== "EBADF" && this.#inode.kind === "file") {
      this.#inode.failSync();
    }
  }

  async syncDataAsync(): Promise<void> {
    this.#storage.assertAlive();
    const file = this.#file("fdatasync");
    try {
      const finish = this.#storage.disk.begin(this.#storage, "sync data async", this.path);
      const snapshot = file.snapshot();
      // Other code of the same process runs while the disk works.
      for (let turn = 0; turn < 3; turn++) await Promise.resolve();
      this.#storage.assertAlive();
      file.complete(snapshot);
      finish();
    } catch (error) {
      this.#afterFailedSync(error);
      if (error instanceof OsError) throw new OsError("fdatasync", this.path, "EIO");
      throw error;
    }
  }

  map(length: number, access: "read" | "write"): Mapping {
    return this.#perform("map", () => {
      const file = access === "write" ? this.#writable("mmap", "EACCES") : this.#file("mmap");
      if (length <= 0) throw new OsError("mmap", this.path, "EINVAL");
      return new SimulatedMapping(this.#storage, { path: this.path, file, length });
    });
  }

  /** The owner of this descriptor's ranges: the descriptor, or with a planted bug its process. */
  get #rangeOwner(): object {
    return this.#storage.disk.options.lockOwner === "process" ? this.#storage : this;
  }

  tryLockRange(start: number, length: number, kind: LockKind): boolean {
    return this.#perform("lock", () => {
      if (kind === "exclusive" && this.#access !== "write") {
        throw new OsError("fcntl", this.path, "EBADF");
      }
      return this.#storage.disk.locksOf(this.#inode)
        .tryLock(this.#rangeOwner, start, length, kind);
    });
  }

  unlockRange(start: number, length: number): void {
    this.#perform(
      "lock",
      () => this.#storage.disk.locksOf(this.#inode).unlock(this.#rangeOwner, start, length),
    );
  }

  rangeIsHeld(start: number, length: number, kind: LockKind): boolean {
    return this.#perform(
      "lock",
      () => this.#storage.disk.locksOf(this.#inode).isHeld(this.#rangeOwner, start, length, kind),
    );
  }

  tryFlock(kind: LockKind): boolean {
    return this.#perform(
      "lock",
      () => this.#storage.disk.locksOf(this.#inode).tryFlock(this, kind),
    );
  }

  releaseFlock(): void {
    this.#perform("lock", () => this.#storage.disk.locksOf(this.#inode).releaseFlock(this));
  }

  close(): void {
    // The scopes of a dead process end too, and must change nothing.
    if (this.#open && this.#storage.alive) this.drop();
  }

  /** Closes without asking whether the process lives: the end of a process closes too. */
  drop(): void {
    this.#open = false;
    this.#storage.release(this);
    const locks = this.#storage.disk.locksOf(this.#inode);
    locks.dropRanges(this.#rangeOwner);
    locks.releaseFlock(this);
    if (this.#inode.kind !== "file") return;
    this.#inode.descriptors--;
    this.#storage.disk.freeIfUnused(this.#inode);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

export class SimulatedMapping implements Mapping {
  readonly length: number;
  readonly #storage: SimulatedStorage;
  readonly #path: string;
  readonly #file: FileInode;
  #bytes: Uint8Array | null;

  constructor(
    storage: SimulatedStorage,
    options: { path: string; file: FileInode; length: number },
  ) {
    this.#storage = storage;
    this.#path = options.path;
    this.#file = options.file;
    this.length = options.length;
    this.#bytes = options.file.map(
      options.length,
      storage.disk.options.mappingReserveBytes ?? 0,
    );
  }

  get bytes(): Uint8Array {
    this.#storage.assertAlive();
    if (this.#bytes === null) throw new OsError("use mapping of", this.#path, "EBADF");
    return this.#bytes;
  }

  flush(offset: number, length: number): void {
    try {
      this.#storage.perform("flush", this.#path, () => {
        const start = Math.floor(offset / PAGE_BYTES) * PAGE_BYTES;
        this.#file.sync(start, Math.ceil((offset + length) / PAGE_BYTES) * PAGE_BYTES);
      });
    } catch (error) {
      if (error instanceof OsError) this.#file.failSync();
      throw error;
    }
  }

  release(): void {
    if (this.#bytes === null || !this.#storage.alive) return;
    this.#bytes = null;
    this.#file.unmap(this.length);
    this.#storage.disk.freeIfUnused(this.#file);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function requireRange(syscall: string, path: string, offset: number, length: number): void {
  if (offset < 0 || length < 0) throw new OsError(syscall, path, "EINVAL");
}

/** What `stat` tells of an inode. */
export function statusOf(inode: Inode): FileStatus {
  const isFile = inode.kind === "file";
  return {
    kind: inode.kind,
    size: isFile ? inode.size : PAGE_BYTES,
    mode: inode.mode,
    device: 1n,
    inode: inode.number,
    links: isFile ? inode.links : 2,
    owner: 0,
    allocatedBytes: isFile ? inode.allocatedPages * PAGE_BYTES : PAGE_BYTES,
    modifiedMs: inode.modifiedMs,
  };
}

/** `StoredFile` over a descriptor of the running system. */

import * as ffi from "../../ffi/mod.ts";
import { OsError } from "../../ffi/mod.ts";
import { assert } from "../base/assert.ts";
import type { FaultPlan } from "./fault.ts";
import type { FileStatus, LockKind, Mapping, StoredFile } from "./storage.ts";
import { SystemMapping } from "./system_mapping.ts";

const TYPE_MASK = 0o170000;
const FILE_TYPE = 0o100000;
const DIRECTORY_TYPE = 0o040000;

export function fileStatus(status: ffi.Status): FileStatus {
  const type = status.mode & TYPE_MASK;
  return {
    kind: type === FILE_TYPE ? "file" : type === DIRECTORY_TYPE ? "directory" : "other",
    size: status.size,
    mode: status.mode & 0o7777,
    device: status.device,
    inode: status.inode,
    links: status.links,
    owner: status.owner,
    allocatedBytes: status.allocatedBytes,
    modifiedMs: status.modifiedMs,
  };
}

export class SystemFile implements StoredFile {
  #descriptor: number;
  readonly #fault: FaultPlan | null;
  /** Syncs that run on other threads: the descriptor stays open until they end. */
  #syncsInFlight = 0;
  #mustCloseWhenSynced = false;

  constructor(descriptor: number, readonly path: string, fault: FaultPlan | null) {
    assert(descriptor >= 0, "A file is made from an open descriptor");
    this.#descriptor = descriptor;
    this.#fault = fault;
  }

  status(): FileStatus {
    return fileStatus(ffi.fstat(this.#open("fstat"), this.path));
  }

  read(into: Uint8Array, offset: number): number {
    const descriptor = this.#open("read");
    let done = ffi.pread(descriptor, into, offset, this.path);
    if (done === into.length || done === 0) return done;
    while (done < into.length) {
      const more = ffi.pread(descriptor, into.subarray(done), offset + done, this.path);
      if (more === 0) break;
      done += more;
    }
    return done;
  }

  nextData(offset: number): ffi.DataRange | null {
    return ffi.nextData(this.#open("lseek"), offset, this.path);
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#fault?.fail("write", this.path);
    const descriptor = this.#open("write");
    let done = ffi.pwrite(descriptor, bytes, offset, this.path);
    while (done < bytes.length) {
      const more = ffi.pwrite(descriptor, bytes.subarray(done), offset + done, this.path);
      if (more === 0) throw new OsError("write", this.path, "EIO");
      done += more;
    }
  }

  allocate(offset: number, length: number): void {
    this.#fault?.fail("allocate", this.path);
    ffi.allocate(this.#open("posix_fallocate"), offset, length, this.path);
  }

  avoidCopyOnWrite(): boolean {
    return ffi.avoidCopyOnWrite(this.#open("ioctl"), this.path);
  }

  deallocate(offset: number, length: number): boolean {
    return ffi.deallocate(this.#open("fallocate"), offset, length);
  }

  truncate(size: number): void {
    ffi.ftruncate(this.#open("ftruncate"), size, this.path);
  }

  chmod(mode: number): void {
    ffi.fchmod(this.#open("fchmod"), mode, this.path);
  }

  syncData(): void {
    this.#fault?.fail("sync", this.path);
    ffi.fdatasync(this.#open("fdatasync"), this.path);
  }

  async syncDataAsync(): Promise<void> {
    this.#fault?.fail("sync", this.path);
    const descriptor = this.#open("fdatasync");
    this.#syncsInFlight++;
    try {
      await ffi.fdatasyncAsync(descriptor, this.path);
    } finally {
      this.#syncsInFlight--;
      if (this.#mustCloseWhenSynced && this.#syncsInFlight === 0) ffi.close(descriptor);
    }
  }

  sync(): void {
    this.#fault?.fail("sync", this.path);
    ffi.fsync(this.#open("fsync"), this.path);
  }

  map(length: number, access: "read" | "write"): Mapping {
    const descriptor = this.#open("mmap");
    const writable = access === "write";
    return new SystemMapping(
      ffi.MappedMemory.map(descriptor, length, { writable, path: this.path }),
    );
  }

  tryLockRange(start: number, length: number, kind: LockKind): boolean {
    return ffi.setRangeLock(this.#open("fcntl"), kind, { start, length, path: this.path });
  }

  unlockRange(start: number, length: number): void {
    ffi.setRangeLock(this.#open("fcntl"), "none", { start, length, path: this.path });
  }

  rangeIsHeld(start: number, length: number, kind: LockKind): boolean {
    return ffi.rangeLockConflicts(this.#open("fcntl"), kind, { start, length, path: this.path });
  }

  tryFlock(kind: LockKind): boolean {
    return ffi.tryFlock(this.#open("flock"), kind, this.path);
  }

  releaseFlock(): void {
    ffi.releaseFlock(this.#open("flock"));
  }

  close(): void {
    if (this.#descriptor === -1) return;
    const descriptor = this.#descriptor;
    this.#descriptor = -1;
    if (this.#syncsInFlight > 0) this.#mustCloseWhenSynced = true;
    else ffi.close(descriptor);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(syscall: string): number {
    if (this.#descriptor === -1) throw new OsError(syscall, this.path, "EBADF");
    return this.#descriptor;
  }
}

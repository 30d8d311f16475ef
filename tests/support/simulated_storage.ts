/** One process on a simulated disk: its view of the names, its descriptors, its life. */

import {
  type FileStatus,
  type OpenFileSystem,
  type OpenOptions,
  OsError,
  type Storage,
  type StoredFile,
} from "../../src/file/mod.ts";
import type { SimulatedDisk } from "./simulated_disk.ts";
import { SimulatedFile, statusOf } from "./simulated_file.ts";
import type { DirectoryInode, Inode } from "./simulated_inode.ts";
import { PAGE_BYTES } from "./simulated_space.ts";
import type { OperationKind } from "./simulated_operations.ts";

const DESCRIPTORS_MAX = 1024;

export class SimulatedStorage implements Storage {
  readonly pageSize = PAGE_BYTES;
  readonly #descriptors = new Set<SimulatedFile>();
  #dead: Error | null = null;

  constructor(readonly disk: SimulatedDisk, readonly name: string) {}

  /** SIGKILL: descriptors and locks go, data stays in the page cache. Every later call throws. */
  kill(): void {
    this.die(new Error(`Process ${this.name} was killed`));
    for (const file of [...this.#descriptors]) file.drop();
    this.disk.forget(this);
  }

  /** Every later call throws `cause`. */
  die(cause: Error): void {
    this.#dead ??= cause;
  }

  assertAlive(): void {
    if (this.#dead !== null) throw this.#dead;
  }

  get alive(): boolean {
    return this.#dead === null;
  }

  /** Open descriptors, for tests that look for leaks. */
  get descriptors(): number {
    return this.#descriptors.size;
  }

  perform<T>(kind: OperationKind, path: string, body: () => T): T {
    this.assertAlive();
    return this.disk.perform(this, kind, path, body);
  }

  open(path: string, options: OpenOptions): StoredFile {
    this.assertAlive();
    this.perform("open", path, () => {});
    if (this.#descriptors.size >= DESCRIPTORS_MAX) throw new OsError("open", path, "EMFILE");
    const found = this.disk.find(path, "open");
    const create = options.create ?? "never";
    if (found !== null) {
      if (create === "exclusive") throw new OsError("open", path, "EEXIST");
      if (found.kind !== (options.kind ?? "file")) {
        throw new OsError("open", path, found.kind === "directory" ? "EISDIR" : "ENOTDIR");
      }
      this.#permit(path, found, options.access);
      return this.#describe(path, found, options.access);
    }
    if (create === "never") throw new OsError("open", path, "ENOENT");
    return this.perform("create", path, () => {
      const { directory, name } = this.disk.place(path, "open");
      if (this.disk.space.freePages === 0) throw new OsError("open", path, "ENOSPC");
      const file = this.disk.newFile(options.mode ?? 0o600);
      this.disk.changeNames([{ directory, name, inode: file }]);
      return this.#describe(path, file, options.access);
    });
  }

  #permit(path: string, inode: Inode, access: "read" | "write"): void {
    if (this.disk.options.user !== "ordinary") return;
    const needed = access === "write" ? 0o600 : 0o400;
    if ((inode.mode & needed) !== needed) throw new OsError("open", path, "EACCES");
  }

  #describe(path: string, inode: Inode, access: "read" | "write"): SimulatedFile {
    const file = new SimulatedFile(this, { path, inode, access });
    this.#descriptors.add(file);
    return file;
  }

  /** A descriptor was closed. */
  release(file: SimulatedFile): void {
    this.#descriptors.delete(file);
  }

  status(path: string): FileStatus {
    return statusOf(this.#existing(path, "stat"));
  }

  isLink(_path: string): boolean {
    return false;
  }

  statusOrNull(path: string): FileStatus | null {
    return this.perform("status", path, () => {
      try {
        const inode = this.disk.find(path, "stat");
        return inode === null ? null : statusOf(inode);
      } catch (error) {
        if (error instanceof OsError && (error.code === "ENOENT" || error.code === "ENOTDIR")) {
          return null;
        }
        throw error;
      }
    });
  }

  #existing(path: string, syscall: string): Inode {
    return this.perform("status", path, () => this.#find(path, syscall));
  }

  #find(path: string, syscall: string): Inode {
    const inode = this.disk.find(path, syscall);
    if (inode === null) throw new OsError(syscall, path, "ENOENT");
    return inode;
  }

  #directory(path: string, syscall: string): DirectoryInode {
    const inode = this.#find(path, syscall);
    if (inode.kind !== "directory") throw new OsError(syscall, path, "ENOTDIR");
    return inode;
  }

  link(from: string, to: string): void {
    this.perform("link", to, () => {
      const inode = this.#find(from, "link");
      if (this.disk.find(to, "link") !== null) throw new OsError("link", to, "EEXIST");
      if (inode.kind === "directory") throw new OsError("link", from, "EPERM");
      this.disk.changeNames([{ ...this.disk.place(to, "link"), inode }]);
    });
  }

  unlink(path: string): void {
    this.perform("unlink", path, () => {
      const inode = this.#find(path, "unlink");
      if (inode.kind === "directory") throw new OsError("unlink", path, "EISDIR");
      this.disk.changeNames([{ ...this.disk.place(path, "unlink"), inode: null }]);
    });
  }

  rename(from: string, to: string): void {
    this.perform("rename", to, () => {
      const source = this.disk.place(from, "rename");
      const place = this.disk.place(to, "rename");
      const inode = this.#find(from, "rename");
      const target = this.disk.find(to, "rename");
      if (inode.kind === "directory" && contains(inode, place.directory)) {
        throw new OsError("rename", to, "EINVAL");
      }
      if (target?.kind === "directory" && contains(target, source.directory)) {
        throw new OsError("rename", to, "ENOTEMPTY");
      }
      if (target === inode) return;
      if (target?.kind === "directory") {
        if (inode.kind !== "directory") throw new OsError("rename", to, "EISDIR");
        if (target.entries.size > 0) throw new OsError("rename", to, "ENOTEMPTY");
      } else if (target !== null && inode.kind === "directory") {
        throw new OsError("rename", to, "ENOTDIR");
      }
      this.disk.changeNames([
        { ...place, inode },
        { ...source, inode: null },
      ]);
    });
  }

  chmod(path: string, mode: number): void {
    this.perform("chmod", path, () => this.disk.changeMode(this.#find(path, "chmod"), mode));
  }

  makeDirectory(path: string, mode: number): void {
    this.perform("make directory", path, () => {
      if (this.disk.find(path, "mkdir") !== null) throw new OsError("mkdir", path, "EEXIST");
      const inode = this.disk.newDirectory(mode);
      this.disk.changeNames([{ ...this.disk.place(path, "mkdir"), inode }]);
    });
  }

  removeDirectory(path: string): void {
    this.perform("remove directory", path, () => {
      const directory = this.#directory(path, "rmdir");
      if (directory.entries.size > 0) throw new OsError("rmdir", path, "ENOTEMPTY");
      this.disk.changeNames([{ ...this.disk.place(path, "rmdir"), inode: null }]);
    });
  }

  readDirectory(path: string): string[] {
    return this.perform("read directory", path, () => [
      ...this.#directory(path, "readdir").entries.keys(),
    ]);
  }

  *walkDirectory(path: string): Iterable<string> {
    for (const name of this.readDirectory(path)) {
      this.assertAlive();
      yield name;
    }
  }

  syncDirectory(path: string): void {
    this.perform(
      "sync directory",
      path,
      () => this.disk.syncDirectory(this.#directory(path, "fsync")),
    );
  }

  openFileSystem(path: string): OpenFileSystem {
    const file = this.open(path, { access: "read", kind: "directory" });
    return {
      device: file.status().device,
      sync: () => this.perform("sync file system", path, () => this.disk.syncEverything()),
      close: () => file.close(),
      [Symbol.dispose]: () => file.close(),
    };
  }

  space(_path: string): { readonly freeBytes: number; readonly totalBytes: number } {
    this.assertAlive();
    const { freePages, totalPages } = this.disk.space;
    return { freeBytes: freePages * PAGE_BYTES, totalBytes: totalPages * PAGE_BYTES };
  }

  reach(point: string): void {
    this.perform("reach", point, () => {});
  }
}

/** Is `inner` this directory or somewhere below it? */
function contains(directory: DirectoryInode, inner: DirectoryInode): boolean {
  if (directory === inner) return true;
  for (const child of directory.entries.values()) {
    if (child.kind === "directory" && contains(child, inner)) return true;
  }
  return false;
}

/**
 * The one seam between countd and the disk. Everything that rests in logs, keyspaces, tables and db
 * goes through a `Storage`: the system's own (`systemStorage()`), or in tests a simulated disk that
 * can lose what was not synced, or a wrapper that fails where it is told to.
 *
 * Every call throws `OsError` (syscall, path, errno name) when the system refuses; interrupted calls
 * and short reads and writes are finished inside.
 */

/** What `stat` says of a file. Sizes in bytes. */
export interface FileStatus {
  readonly kind: "file" | "directory" | "other";
  readonly size: number;
  /** Permission bits only, such as 0o600. */
  readonly mode: number;
  /** Identity of the file: equal pairs mean the same file under two names. */
  readonly device: bigint;
  readonly inode: bigint;
  /** Number of hard links. */
  readonly links: number;
  readonly owner: number;
  /** Bytes that the file really occupies on disk (holes take none). */
  readonly allocatedBytes: number;
  /** Time of the last change of the content, milliseconds since 1970; for display only. */
  readonly modifiedMs: number;
}

export interface OpenOptions {
  /** `write` opens for reading and writing. */
  readonly access: "read" | "write";
  /** Default `never`. `exclusive` fails with EEXIST where the name is taken. */
  readonly create?: "never" | "missing" | "exclusive";
  /** Permission bits of a file that is created; default 0o600, never narrowed by the umask. */
  readonly mode?: number;
}

export type LockKind = "shared" | "exclusive";

/**
 * A named place in the code at which a test may stop the world: `<noun or verb>.<step>.<before|after>`.
 * In production `Storage.reach` does nothing.
 */
export type FaultPoint = string;

export interface Storage {
  /** Bytes of a memory page: offsets and lengths of mappings are whole numbers of them. */
  readonly pageSize: number;

  open(path: string, options: OpenOptions): StoredFile;

  /** Follows symbolic links. Throws ENOENT where there is nothing. */
  status(path: string): FileStatus;
  /** As `status`, but null where there is no such file (ENOENT, ENOTDIR). */
  statusOrNull(path: string): FileStatus | null;
  /** Hard link; EEXIST where `to` is taken. */
  link(from: string, to: string): void;
  unlink(path: string): void;
  /** Atomic; replaces what `to` names. */
  rename(from: string, to: string): void;
  chmod(path: string, mode: number): void;
  /** Throws EEXIST where the name is taken. `mode` is not narrowed by the umask. */
  makeDirectory(path: string, mode: number): void;
  removeDirectory(path: string): void;
  /**
   * Names in a directory without `.` and `..`, in no order. A byte of a name that is not UTF-8 is a lone
   * surrogate (U+DC80 to U+DCFF), and such a path can be used as any other.
   */
  readDirectory(path: string): string[];
  /** As `readDirectory`, a batch at a time, so that a large directory needs bounded memory. */
  walkDirectory(path: string): Iterable<string>;
  /** Makes the entries of a directory durable. */
  syncDirectory(path: string): void;
  /**
   * Opens the file system that holds `path`, to sync all of it. A descriptor is told only of the errors
   * since it was opened, so it is opened before the first write that its syncs are to cover.
   */
  openFileSystem(path: string): OpenFileSystem;
  /** Free and total bytes of the file system that holds `path`, as an ordinary user sees them. */
  space(path: string): { readonly freeBytes: number; readonly totalBytes: number };

  /** Tells the storage that a named place in the protocol is reached. Costs nothing in production. */
  reach(point: FaultPoint): void;
}

/** A file system that is open to be synced. Closing twice is harmless. */
export interface OpenFileSystem extends Disposable {
  /** The `FileStatus.device` of what is on it. */
  readonly device: bigint;
  /** Makes everything on it durable (syncfs). Throws what failed since the last sync, or the opening. */
  sync(): void;
  close(): void;
}

/** An open descriptor (always close-on-exec). Closing twice is harmless. */
export interface StoredFile extends Disposable {
  readonly path: string;

  status(): FileStatus;
  /** Reads until `into` is full or the file ends; returns the bytes read. */
  read(into: Uint8Array, offset: number): number;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array, offset: number): void;
  /**
   * Makes sure that the range exists on disk (and the file reaches its end), so that no later store
   * into it can fail for want of space. Throws ENOSPC, EDQUOT or EFBIG with the file's data unchanged.
   */
  allocate(offset: number, length: number): void;
  /** Gives the space of a range back where the file system can; it then reads as zeros. */
  deallocate(offset: number, length: number): boolean;
  truncate(size: number): void;
  chmod(mode: number): void;

  /** fdatasync: data and what is needed to read it back. */
  syncData(): void;
  /** The same on another thread. Only the fact of a failure is known, so it throws EIO. */
  syncDataAsync(): Promise<void>;
  /** fsync. */
  sync(): void;

  /**
   * Maps the first `length` bytes, shared. The mapping may be longer than the file, but only bytes
   * below the file's end may be touched.
   */
  map(length: number, access: "read" | "write"): Mapping;

  /**
   * Open-file-description lock on a byte range (`F_OFD_SETLK`): false where another description
   * holds a conflicting one. Held until `unlockRange`, `close`, or the death of the process.
   */
  tryLockRange(start: number, length: number, kind: LockKind): boolean;
  unlockRange(start: number, length: number): void;
  /** True where somebody else's lock would refuse `kind` (`F_OFD_GETLK`). */
  rangeIsHeld(start: number, length: number, kind: LockKind): boolean;

  /** Whole-file `flock(2)`: false where another description holds a conflicting one. */
  tryFlock(kind: LockKind): boolean;
  releaseFlock(): void;

  close(): void;
}

/**
 * A shared mapping. `bytes` and every view made from its buffer are cut off (length 0) by
 * `release`, so that a late reader finds nothing instead of memory that is gone.
 */
export interface Mapping extends Disposable {
  readonly length: number;
  /** The mapped bytes. Throws after `release`. */
  readonly bytes: Uint8Array;
  /** msync of a range and waits; `offset` and `length` are widened to whole pages. */
  flush(offset: number, length: number): void;
  release(): void;
}

/**
 * The one seam between countd and the disk. Everything that rests in logs, keyspaces, tables and
 * databases goes through a `Storage`. It is the system's own (`systemStorage()`). In tests it may be a
 * simulated disk that can lose what was not synced, or a wrapper that fails at a chosen call.
 *
 * Every call throws `OsError` (syscall, path, errno name) when the system refuses. Interrupted calls,
 * and short reads and writes, are finished inside.
 */

/** What `stat` says of a file. */
export interface FileStatus {
  /** What the name leads to; `other` is a FIFO, a socket, a device, or a circle of symbolic links. */
  readonly kind: "file" | "directory" | "other";
  /** Length of the file in bytes. */
  readonly size: number;
  /** Permission bits only, such as 0o600. */
  readonly mode: number;
  /** Number of the device that holds the file. With `inode` it is the identity of the file. */
  readonly device: bigint;
  /** Number of the file on its device. The system may reuse it once the file is gone. */
  readonly inode: bigint;
  /** Number of hard links. */
  readonly links: number;
  /** Numeric user that owns the file. */
  readonly owner: number;
  /** Bytes that the file really occupies on disk (holes take none). */
  readonly allocatedBytes: number;
  /**
   * Time of the last change of the content, of a directory of its names, in milliseconds since 1970 with
   * fractions. Two changes may have the same: file systems count in steps of up to two seconds.
   */
  readonly modifiedMs: number;
}

/** How a file is opened. */
export interface OpenOptions {
  /**
   * What the name must lead to; the default is a regular file. Anything else is refused at once, without a
   * wait: a directory with EISDIR, a FIFO, a socket or a device with ENXIO. A `directory` is opened to read.
   */
  readonly kind?: "file" | "directory";
  /** `read` opens for reading alone, `write` for reading and writing. */
  readonly access: "read" | "write";
  /**
   * Whether a file is created. `never`, the default, fails with ENOENT if there is none, and `missing`
   * creates one in that case. `exclusive` creates one, and fails with EEXIST if the name is taken.
   */
  readonly create?: "never" | "missing" | "exclusive";
  /** Permission bits of a file that is created; default 0o600, never narrowed by the umask. */
  readonly mode?: number;
}

/** Kind of a lock: any number of `shared` ones exist together, an `exclusive` one alone. */
export type LockKind = "shared" | "exclusive";

/**
 * A named place in the code at which a test may stop the world: `<noun or verb>.<step>.<before|after>`.
 * In production `Storage.reach` does nothing.
 */
export type FaultPoint = string;

/** A disk: files, directories and their durability. Paths are absolute or relative, as for `open(2)`. */
export interface Storage {
  /** Bytes of a memory page: offsets and lengths of mappings are whole numbers of them. */
  readonly pageSize: number;

  /** Open a file, or create it if the options say so. Throws `OsError`. */
  open(path: string, options: OpenOptions): StoredFile;

  /** Give the status of the file that the path leads to, through symbolic links. Throws `OsError`. */
  status(path: string): FileStatus;
  /** As `status`, but null if the file does not exist (ENOENT, ENOTDIR). */
  statusOrNull(path: string): FileStatus | null;
  /** Whether the name is that of a symbolic link, wherever it leads. */
  isLink(path: string): boolean;
  /** Give the file `from` the second name `to` (a hard link). EEXIST if `to` is taken. */
  link(from: string, to: string): void;
  /** Remove a name of a file. ENOENT if there is none. */
  unlink(path: string): void;
  /** Rename in one step of the system; replaces what `to` names. */
  rename(from: string, to: string): void;
  /** Change the permission bits of a file or directory. */
  chmod(path: string, mode: number): void;
  /** Make a directory. EEXIST if the name is taken. `mode` is not narrowed by the umask. */
  makeDirectory(path: string, mode: number): void;
  /** Remove an empty directory. */
  removeDirectory(path: string): void;
  /**
   * List the names in a directory, without `.` and `..`, in no order. A byte of a name that is not UTF-8
   * is a lone surrogate (U+DC80 to U+DCFF). Such a path can be used as any other.
   */
  readDirectory(path: string): string[];
  /** As `readDirectory`, a batch at a time, so that a large directory needs bounded memory. */
  walkDirectory(path: string): Iterable<string>;
  /** Make the entries of a directory durable (fsync). */
  syncDirectory(path: string): void;
  /**
   * Open the file system that holds `path`, to sync all of it. A descriptor is told only of the errors
   * since it was opened, so open it before the first write that its syncs are to cover.
   */
  openFileSystem(path: string): OpenFileSystem;
  /** Free and total bytes of the file system that holds `path`, as an ordinary user sees them. */
  space(path: string): { readonly freeBytes: number; readonly totalBytes: number };

  /** Say that a named place in a protocol is reached. Does nothing in production. */
  reach(point: FaultPoint): void;
}

/** A file system that is open to be synced. Closing twice is harmless. */
export interface OpenFileSystem extends Disposable {
  /** The `FileStatus.device` of the files on it. */
  readonly device: bigint;
  /**
   * Make everything on it durable (syncfs). Throws `OsError` for a write that failed since the last sync,
   * or since the opening.
   */
  sync(): void;
  /** Close the descriptor. */
  close(): void;
}

/** An open descriptor (always close-on-exec). Closing twice is harmless. */
export interface StoredFile extends Disposable {
  /** The path that the file was opened under, for messages. */
  readonly path: string;

  /** Give the status of the open file, whatever its name leads to now. */
  status(): FileStatus;
  /** Read from `offset` until `into` is full or the file ends; returns the number of bytes read. */
  read(into: Uint8Array, offset: number): number;
  /**
   * Find the next range from `offset` on that is not a hole, from its first byte to the byte behind its last;
   * null if none follows. If the file system does not tell, the whole file is one range. What is allocated
   * and was never written is a hole, too.
   */
  nextData(offset: number): { readonly start: number; readonly end: number } | null;
  /** Write all of `bytes` at `offset`. */
  write(bytes: Uint8Array, offset: number): void;
  /**
   * Make sure that the range has its space on disk, and that the file reaches its end. No later store into
   * it can fail for want of space. Throws ENOSPC, EDQUOT or EFBIG with the file's data unchanged.
   */
  allocate(offset: number, length: number): void;
  /**
   * Ask the file system to overwrite this file in place from now on. The file must be empty. Returns false
   * if the file system copies what is overwritten and cannot be asked: a store into a mapping may then meet
   * a full disk, which ends the process (SIGBUS).
   */
  avoidCopyOnWrite(): boolean;
  /**
   * Free the disk space of a range, which then reads as zeros. Returns false, and changes nothing, if
   * the file system cannot do that.
   */
  deallocate(offset: number, length: number): boolean;
  /** Set the length of the file in bytes. */
  truncate(size: number): void;
  /** Change the permission bits of the file. */
  chmod(mode: number): void;

  /** Make the data durable, with what is needed to read it back (fdatasync). */
  syncData(): void;
  /** As `syncData`, on another thread. Only the fact of a failure is known, so it throws EIO. */
  syncDataAsync(): Promise<void>;
  /** Make the data and the status durable (fsync). */
  sync(): void;

  /**
   * Map the first `length` bytes, shared. The mapping may be longer than the file, but only bytes below
   * the file's end may be touched: the system ends a process that touches others (SIGBUS).
   */
  map(length: number, access: "read" | "write"): Mapping;

  /**
   * Try to take an open-file-description lock on a byte range (`F_OFD_SETLK`), without waiting. Returns
   * false if another description holds a conflicting one. Held until `unlockRange`, `close`, or the
   * death of the process.
   */
  tryLockRange(start: number, length: number, kind: LockKind): boolean;
  /** Release the lock of a byte range. */
  unlockRange(start: number, length: number): void;
  /** Whether the lock of another description would refuse a lock of this kind (`F_OFD_GETLK`). */
  rangeIsHeld(start: number, length: number, kind: LockKind): boolean;

  /**
   * Try to take the `flock(2)` of the whole file, without waiting. Returns false if another description
   * holds a conflicting one. Held until `releaseFlock`, `close`, or the death of the process.
   */
  tryFlock(kind: LockKind): boolean;
  /** Release the `flock(2)` of the file. */
  releaseFlock(): void;

  /** Close the descriptor and release its locks. Mappings stay until their own `release`. */
  close(): void;
}

/**
 * A shared mapping of a file. `release` detaches `bytes` and every view made from its buffer: their
 * length is 0 then. So a late reader finds nothing instead of memory that is gone.
 */
export interface Mapping extends Disposable {
  /** Bytes of the mapping. */
  readonly length: number;
  /** The mapped bytes. Throws after `release`. */
  readonly bytes: Uint8Array;
  /** Write out a range and wait (msync). `offset` and `length` are widened to whole pages. */
  flush(offset: number, length: number): void;
  /** Unmap. A second call is harmless. */
  release(): void;
}

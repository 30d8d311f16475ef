/**
 * `DATA/control`: the locks of a data directory, its sizes and format, and the failed mark.
 *
 * Invariants:
 *  1. The file is complete when it appears under its name. Only a repair replaces it, and only a damaged
 *     one, while it holds the daemons' lock of both files.
 *  2. Each opening of a data directory has one descriptor, and a lock belongs to the descriptor. So two
 *     openings exclude each other, even within one process.
 *  3. Locks are tried, never waited for, and never taken from a living holder.
 *  4. What is stored about a holder is for messages only; only the kernel knows whether a lock is held.
 */

import { basename, dirname } from "node:path/posix";
import { crc32 } from "node:zlib";
import { assert } from "../../base/assert.ts";
import { CorruptError, UsageError } from "../../base/errors.ts";
import {
  LOG_SIZE_DEFAULT,
  LOG_SIZE_MAX,
  LOG_SIZE_MIN,
  LOG_SIZE_UNIT_BYTES,
} from "../../base/pool_defaults.ts";
import {
  hasCode,
  OsError,
  publishFile,
  publishNewFile,
  type Storage,
  type StoredFile,
} from "../../file/mod.ts";
import { DEFAULT_SIZES, type MessageSizes, NAME_SIZE_MAX } from "../wire/mod.ts";
import {
  CONTROL_BYTES,
  CONTROL_MAGIC,
  controlLayout as at,
  DIRECTORY_VERSION,
  directoryLocks,
  HOLDER_BYTES,
  holderLayout,
  HOLDERS_OFFSET,
  LOCKS_OFFSET,
  SLOT_LOCKS_OFFSET,
} from "./control_layout.ts";
import { type FailedMark, readFailedMark, writeFailedMark } from "./failed_mark.ts";
import type { Holder } from "./holder.ts";

/** The sizes that are fixed when a data directory is made, in bytes. */
export interface DirectorySizes extends MessageSizes {
  readonly logSize: number;
}

export const directorySizesDefault: DirectorySizes = {
  ...DEFAULT_SIZES,
  logSize: LOG_SIZE_DEFAULT,
};

/** The suffix of a control file that is being made: 32 random digits. */
const TEMPORARY_SUFFIX = /^\.new-[0-9a-f]{32}$/;

export class Control implements Disposable {
  readonly #held = new Set<number>();

  readonly #self: Holder;

  private constructor(
    readonly file: StoredFile,
    readonly sizes: DirectorySizes,
    readonly identity: string,
    self: Holder,
  ) {
    this.#self = self;
  }

  /**
   * Makes `path` if it is missing. If another process does the same, one wins, and both then open the same
   * file.
   */
  static create(storage: Storage, path: string, sizes: DirectorySizes): void {
    const temporaryPath = makeFile(storage, path, sizes);
    try {
      using file = storage.open(temporaryPath, { access: "write" });
      publishNewFile(storage, file, { temporaryPath, path });
    } catch (error) {
      if (storage.statusOrNull(temporaryPath) !== null) storage.unlink(temporaryPath);
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }

  /**
   * Makes `path` anew, also in place of a damaged file, whose failed mark is kept. The returned opening has
   * held the daemons' lock since before the file had its name, so no daemon has joined. Throws `OsError`
   * with EEXIST if the file was missing and another process has made it.
   */
  static remake(
    storage: Storage,
    path: string,
    { sizes, self }: { readonly sizes: DirectorySizes; readonly self: Holder },
  ): Control {
    const temporaryPath = makeFile(storage, path, sizes);
    try {
      const control = Control.open(storage, temporaryPath, self);
      try {
        control.tryLock(directoryLocks.daemon);
        const isMissing = storage.statusOrNull(path) === null;
        const mark = isMissing ? null : failedMarkAt(storage, path);
        if (mark !== null) writeFailedMark(control.file, mark);
        const publish = isMissing ? publishNewFile : publishFile;
        publish(storage, control.file, { temporaryPath, path });
        return control;
      } catch (error) {
        control.close();
        throw error;
      }
    } catch (error) {
      if (storage.statusOrNull(temporaryPath) !== null) storage.unlink(temporaryPath);
      throw error;
    }
  }

  /**
   * Takes the daemons' lock of a control file without reading it, because it may be damaged. Null if a
   * daemon lives. Throws `OsError` if the file is missing.
   */
  static lockDaemonsOut(storage: Storage, path: string): Disposable | null {
    const file = storage.open(path, { access: "write" });
    if (file.tryLockRange(LOCKS_OFFSET + directoryLocks.daemon, 1, "exclusive")) return file;
    file.close();
    return null;
  }

  /**
   * Removes what is left of processes that were killed while they made `path`. Only for the holder of the
   * daemons' lock: any other process that makes a control file now finds that there is one.
   */
  static sweep(storage: Storage, path: string): void {
    const directory = dirname(path);
    const name = basename(path);
    for (const other of storage.readDirectory(directory)) {
      if (!other.startsWith(name) || !TEMPORARY_SUFFIX.test(other.slice(name.length))) continue;
      storage.unlink(`${directory}/${other}`);
    }
  }

  /** Throws `CorruptError` if the file is not a valid control file, and `OsError` if it is missing. */
  static open(storage: Storage, path: string, self: Holder): Control {
    const file = storage.open(path, { access: "write" });
    try {
      const bytes = new Uint8Array(CONTROL_BYTES);
      const read = file.read(bytes, 0);
      const view = new DataView(bytes.buffer);
      if (read < CONTROL_BYTES || !CONTROL_MAGIC.every((byte, index) => bytes[index] === byte)) {
        throw new CorruptError(`${path} is not the control file of a countd data directory`, {
          path,
          offset: 0,
        });
      }
      const version = view.getUint32(at.version.offset, true);
      // A file of another format has another checksum, or has it elsewhere. If the checksum fits once our
      // version is put in, only the version is damaged.
      view.setUint32(at.version.offset, DIRECTORY_VERSION, true);
      const sum = crc32(bytes.subarray(0, at.checksum.offset));
      const isSound = view.getUint32(at.checksum.offset, true) === sum;
      if (version !== DIRECTORY_VERSION && !isSound) {
        throw new UsageError(
          `Data directory has format ${version} and this countd reads format ${DIRECTORY_VERSION}: ` +
            `use the countd that made it (${path})`,
        );
      }
      if (version !== DIRECTORY_VERSION || !isSound) {
        throw new CorruptError(`Checksum of ${path} does not fit: run countd repair`, {
          path,
          offset: at.checksum.offset,
        });
      }
      const sizes = {
        keyspaceSize: view.getUint32(at.keyspaceSize.offset, true),
        keySize: view.getUint32(at.keySize.offset, true),
        logSize: Number(view.getBigUint64(at.logSize.offset, true)),
      };
      const identity = bytes.subarray(at.identity.offset, at.identity.offset + 16).toHex();
      return new Control(file, sizes, identity, self);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Takes a lock of the directory or of a slot; false if it is held, by another opening or by this one. */
  tryLock(lock: number, kind: "shared" | "exclusive" = "exclusive"): boolean {
    if (this.#held.has(lock)) return false;
    if (!this.file.tryLockRange(LOCKS_OFFSET + lock, 1, kind)) return false;
    this.#held.add(lock);
    if (kind === "exclusive") this.#writeHolder(lock, this.#self);
    return true;
  }

  unlock(lock: number): void {
    assert(this.#held.has(lock), "Only a lock that is held is released");
    this.#held.delete(lock);
    this.file.unlockRange(LOCKS_OFFSET + lock, 1);
  }

  holds(lock: number): boolean {
    return this.#held.has(lock);
  }

  /** True if another opening holds the lock. */
  isHeldElsewhere(lock: number): boolean {
    return this.file.rangeIsHeld(LOCKS_OFFSET + lock, 1, "exclusive");
  }

  /** What the last exclusive holder of a lock stored about itself, or null. */
  holder(lock: number): Holder | null {
    const bytes = new Uint8Array(HOLDER_BYTES);
    if (this.file.read(bytes, HOLDERS_OFFSET + lock * HOLDER_BYTES) < HOLDER_BYTES) return null;
    const view = new DataView(bytes.buffer);
    const pid = view.getUint32(holderLayout.pid.offset, true);
    if (pid === 0) return null;
    const { offset, size } = holderLayout.bootId;
    return {
      pid,
      startTicks: view.getBigUint64(holderLayout.startTicks.offset, true),
      bootId: new TextDecoder().decode(bytes.subarray(offset, offset + size)).replace(/\0+$/, ""),
    };
  }

  /** For messages: `pid 123`, or `an unknown process`. */
  describeHolder(lock: number): string {
    const holder = this.holder(lock);
    return holder === null ? "an unknown process" : `pid ${holder.pid}`;
  }

  #writeHolder(lock: number, holder: Holder): void {
    const bytes = new Uint8Array(HOLDER_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(holderLayout.pid.offset, holder.pid, true);
    view.setBigUint64(holderLayout.startTicks.offset, holder.startTicks, true);
    bytes.set(new TextEncoder().encode(holder.bootId).subarray(0, 36), holderLayout.bootId.offset);
    try {
      this.file.write(bytes, HOLDERS_OFFSET + lock * HOLDER_BYTES);
    } catch (error) {
      // A full disk must not prevent a lock, because the entry only serves messages.
      if (!(error instanceof OsError)) throw error;
    }
  }

  /** Releases every lock of this opening. */
  close(): void {
    this.#held.clear();
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Writes a control file with a new identity under a name of its own, which is returned. */
function makeFile(storage: Storage, path: string, sizes: DirectorySizes): string {
  checkDirectorySizes(sizes);
  const identity = crypto.getRandomValues(new Uint8Array(at.identity.size));
  const temporaryPath = `${path}.new-${identity.toHex()}`;
  const bytes = new Uint8Array(CONTROL_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(CONTROL_MAGIC, at.magic.offset);
  view.setUint32(at.version.offset, DIRECTORY_VERSION, true);
  view.setUint32(at.keyspaceSize.offset, sizes.keyspaceSize, true);
  view.setUint32(at.keySize.offset, sizes.keySize, true);
  view.setBigUint64(at.logSize.offset, BigInt(sizes.logSize), true);
  bytes.set(identity, at.identity.offset);
  view.setUint32(at.checksum.offset, crc32(bytes.subarray(0, at.checksum.offset)), true);
  using file = storage.open(temporaryPath, { access: "write", create: "exclusive", mode: 0o600 });
  try {
    file.allocate(0, HOLDERS_OFFSET);
    file.write(bytes, 0);
  } catch (error) {
    storage.unlink(temporaryPath);
    throw error;
  }
  return temporaryPath;
}

function failedMarkAt(storage: Storage, path: string): FailedMark | null {
  using file = storage.open(path, { access: "read" });
  return readFailedMark(file);
}

/** Number of a slot's lock. */
export function slotLock(slot: number): number {
  return SLOT_LOCKS_OFFSET + slot;
}

/** Throws `UsageError` for sizes that no data directory can have. */
export function checkDirectorySizes({ keyspaceSize, keySize, logSize }: DirectorySizes): void {
  for (const [name, size] of [["keyspace-size", keyspaceSize], ["key-size", keySize]] as const) {
    if (!Number.isInteger(size) || size < 1 || size > NAME_SIZE_MAX) {
      throw new UsageError(
        `Invalid --${name} ${size}: it is a whole number from 1 to ${NAME_SIZE_MAX}`,
      );
    }
  }
  if (!isLogSize(logSize)) {
    throw new UsageError(
      `Invalid --log-size ${logSize}: it must be a multiple of ${LOG_SIZE_UNIT_BYTES} bytes from ` +
        `${LOG_SIZE_MIN} to ${LOG_SIZE_MAX}`,
    );
  }
}

/** True for a size that a log can have. */
export function isLogSize(size: number): boolean {
  return size >= LOG_SIZE_MIN && size <= LOG_SIZE_MAX && size % LOG_SIZE_UNIT_BYTES === 0;
}

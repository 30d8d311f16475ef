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

import { dirname } from "node:path/posix";
import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import { LOG_SIZE_DEFAULT, SLOTS_MAX } from "../../base/pool_defaults.ts";
import {
  hasCode,
  nullIfCode,
  OsError,
  publishFile,
  publishNewFile,
  type Storage,
  type StoredFile,
} from "../../file/mod.ts";
import { DEFAULT_SIZES } from "../wire/mod.ts";
import {
  checkDirectorySizes,
  type ControlHead,
  decodeControl,
  decodeControlHead,
  decodeOrder,
  type DirectorySizes,
  encodeControl,
  encodeOrder,
} from "./control_bytes.ts";
import {
  CONTROL_HEAD_BYTES,
  directoryLocks,
  HOLDER_BYTES,
  holderLayout,
  HOLDERS_OFFSET,
  LOCKS_OFFSET,
  orderLayout,
  SLOT_LOCKS_OFFSET,
} from "./control_layout.ts";
import { type FailedMark, readFailedMark, writeFailedMark } from "./failed_mark.ts";
import type { Holder } from "./holder.ts";
import { LiveWords } from "./live_words.ts";

export const directorySizesDefault: DirectorySizes = {
  ...DEFAULT_SIZES,
  logSize: LOG_SIZE_DEFAULT,
};

/** A load of the counter may meet a store, and is repeated. */
const ORDER_LOADS_MAX = 100;

/** A control file that is being made, with 32 random digits. */
const TEMPORARY_NAME = /^control\.new-[0-9a-f]{32}$/;

export class Control implements Disposable {
  readonly #held = new Set<number>();
  readonly #path: string;
  readonly #self: Holder;
  readonly #access: "read" | "write";
  readonly live: LiveWords;

  private constructor(
    storage: Storage,
    readonly file: StoredFile,
    readonly sizes: DirectorySizes,
    /** 16 random bytes, which distinguish the directory from its copies. */
    readonly identity: Uint8Array,
    { path, self, access }: {
      readonly path: string;
      readonly self: Holder;
      readonly access: "read" | "write";
    },
  ) {
    this.#path = path;
    this.#self = self;
    this.#access = access;
    this.live = new LiveWords(storage, file);
  }

  /**
   * Makes `path` if it is missing, with `order` as the greatest order of a log. If another process does the same, one wins, and both then open the same
   * file.
   */
  static create(storage: Storage, path: string, sizes: DirectorySizes, order = 0n): void {
    const temporaryPath = makeFile(storage, path, { sizes, identity: randomIdentity() }, order);
    try {
      using file = storage.open(temporaryPath, { access: "write" });
      publishNewFile(storage, file, { temporaryPath, path });
    } catch (error) {
      if (storage.statusOrNull(temporaryPath) !== null) storage.unlink(temporaryPath);
      // Swept by another process, which has made the file.
      const isMade = hasCode(error, "ENOENT") && storage.statusOrNull(path) !== null;
      if (!isMade && !hasCode(error, "EEXIST")) throw error;
    }
    Control.sweep(storage, path);
  }

  /** The head of a file that is damaged elsewhere; null if the head itself is damaged, or missing. */
  static soundHead(storage: Storage, path: string): ControlHead | null {
    if (storage.statusOrNull(path)?.kind !== "file") return null;
    using file = storage.open(path, { access: "read" });
    const bytes = new Uint8Array(HOLDERS_OFFSET);
    try {
      return decodeControlHead(path, bytes.subarray(0, file.read(bytes, 0)));
    } catch (error) {
      if (error instanceof CorruptError) return null;
      throw error;
    }
  }

  /** Gives the file of a copied directory, which no process has open, an identity of its own. The caller syncs. */
  static renewIdentity(storage: Storage, path: string): void {
    const head = Control.soundHead(storage, path);
    // A damaged file is left to the check of the copy.
    if (head === null) return;
    using file = storage.open(path, { access: "write" });
    // A copy has holes, and nothing that is stored here may need space later.
    file.allocate(0, HOLDERS_OFFSET);
    const bytes = encodeControl({ ...head, identity: randomIdentity() }, 0n);
    file.write(bytes.subarray(0, CONTROL_HEAD_BYTES), 0);
  }

  /**
   * Makes `path` anew, also in place of a damaged file, whose failed mark is kept, and whose identity and
   * unknown features, if its head can be read. The returned opening has held the daemons' lock since before the
   * file had its name, so no daemon has joined. `order` is the greatest order of a log; a counter of the damaged
   * file that is whole and greater is kept. Throws `OsError` with EEXIST if the file was
   * missing and another process has made it.
   */
  static remake(
    storage: Storage,
    path: string,
    { sizes, order, self }: {
      readonly sizes: DirectorySizes;
      readonly order: bigint;
      readonly self: Holder;
    },
  ): Control {
    const head = Control.soundHead(storage, path) ?? { identity: randomIdentity() };
    // The counter may be whole beside a damaged head, and above every log that is left.
    const counted = orderAt(storage, path);
    const temporaryPath = makeFile(
      storage,
      path,
      { ...head, sizes },
      counted > order ? counted : order,
    );
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

  /** True for the name of a control file that is being made. */
  static isTemporaryName(name: string): boolean {
    return TEMPORARY_NAME.test(name);
  }

  /**
   * Removes what is left of processes that were killed while they made `path`. It must exist: any other
   * process that makes it now finds that.
   */
  static sweep(storage: Storage, path: string): void {
    const directory = dirname(path);
    for (const other of storage.readDirectory(directory).filter(Control.isTemporaryName)) {
      nullIfCode(() => storage.unlink(`${directory}/${other}`), "ENOENT");
    }
  }

  /**
   * Throws `CorruptError` if the file is not a valid control file, `OldFormatError` or `NewerFormatError` if
   * it has another format, and `OsError` if it is missing. An opening with access `read` takes shared locks
   * only, and changes nothing.
   */
  static open(
    storage: Storage,
    path: string,
    self: Holder,
    access: "read" | "write" = "write",
  ): Control {
    const file = storage.open(path, { access });
    try {
      const bytes = new Uint8Array(HOLDERS_OFFSET);
      const { sizes, identity } = decodeControl(path, bytes.subarray(0, file.read(bytes, 0)));
      return new Control(storage, file, sizes, identity, { path, self, access });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The order counter: the greatest order that a log was given; null if it is damaged. */
  order(): bigint | null {
    const bytes = new Uint8Array(orderLayout.zeros.offset - orderLayout.order.offset);
    for (let load = 0; load < ORDER_LOADS_MAX; load++) {
      this.file.read(bytes, orderLayout.order.offset);
      const order = decodeOrder(bytes);
      if (order !== null) return order;
    }
    return null;
  }

  /** Stores the order counter. Only under its lock, or alone. */
  storeOrder(order: bigint): void {
    this.file.write(encodeOrder(order), orderLayout.order.offset);
  }

  /**
   * Raises the order counter and returns it, not synced; null while another process raises it. Throws
   * `CorruptError` if it is damaged.
   */
  raiseOrder(): bigint | null {
    if (!this.tryLock(directoryLocks.order)) return null;
    try {
      const order = this.order();
      if (order === null) throw orderDamage(this.#path);
      this.storeOrder(order + 1n);
      return order + 1n;
    } finally {
      this.unlock(directoryLocks.order);
    }
  }

  /** True if it was opened with access `read`. */
  get isReadOnly(): boolean {
    return this.#access === "read";
  }

  /** Takes a lock of the directory or of a slot; false if it is held, by another opening or by this one. */
  tryLock(lock: number, kind: "shared" | "exclusive" = "exclusive"): boolean {
    assert(kind === "shared" || !this.isReadOnly, "An exclusive lock needs access to write");
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
    // A file with a higher number must not make `control` as long.
    if (lock >= slotLock(SLOTS_MAX)) return;
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
    this.live.close();
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function randomIdentity(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

/** Writes a control file under a name of its own, which is returned. */
function makeFile(storage: Storage, path: string, head: ControlHead, order: bigint): string {
  checkDirectorySizes(head.sizes);
  const temporaryPath = `${path}.new-${randomIdentity().toHex()}`;
  using file = storage.open(temporaryPath, { access: "write", create: "exclusive", mode: 0o600 });
  try {
    // Overwritten in place, and allocated up to the holders: neither a live word nor a mark needs space later.
    file.avoidCopyOnWrite();
    file.allocate(0, HOLDERS_OFFSET);
    file.write(encodeControl(head, order), 0);
  } catch (error) {
    storage.unlink(temporaryPath);
    throw error;
  }
  return temporaryPath;
}

function orderDamage(path: string): CorruptError {
  return new CorruptError(`The order counter in ${path} is damaged: run countd repair`, {
    path,
    offset: orderLayout.order.offset,
  });
}

/** The order counter of a file that may be damaged elsewhere; 0 if it is damaged itself, or missing. */
function orderAt(storage: Storage, path: string): bigint {
  if (storage.statusOrNull(path)?.kind !== "file") return 0n;
  using file = storage.open(path, { access: "read" });
  const bytes = new Uint8Array(orderLayout.zeros.offset - orderLayout.order.offset);
  file.read(bytes, orderLayout.order.offset);
  return decodeOrder(bytes) ?? 0n;
}

function failedMarkAt(storage: Storage, path: string): FailedMark | null {
  using file = storage.open(path, { access: "read" });
  return readFailedMark(file);
}

/** Number of a slot's lock. */
export function slotLock(slot: number): number {
  return SLOT_LOCKS_OFFSET + slot;
}

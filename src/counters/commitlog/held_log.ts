/**
 * A log that this process holds: the lock of its byte, its lock name and a descriptor. Taken in the order
 * lock, link, chmod, open, and released in reverse. Writers, recovery and folds all use it.
 */

import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import {
  concernsOneFile,
  type FileStatus,
  leadsTo,
  OsError,
  type StoredFile,
} from "../../file/mod.ts";
import { slotLock } from "./control.ts";
import type { DataDirectory } from "./directory.ts";
import { damagedHeaderOffset } from "./damaged_header.ts";
import { changeOf, headerOf, type LogHeader, storeHeader } from "./header.ts";
import { HEAD_PAGE_BYTES } from "./layout.ts";
import { LogWindow, readFrom } from "../../file/checked_log/mod.ts";
import {
  HELD_MODE,
  linkLockName,
  lockPathOfSlot,
  modeOfState,
  pathOfSlot,
  unlinkLockName,
} from "./slot_files.ts";

export class HeldLog {
  /** What the file has in its place: only the holder of a log stores headers. */
  readonly #headPage: Uint8Array;
  #window: LogWindow | null = null;
  /** What the live word carries beside the tail. */
  #change = 0;
  #isReleased = false;
  /** Links with which the name was last compared: the plain name and the lock name. */
  #links = 2;

  private constructor(
    readonly directory: DataDirectory,
    readonly slot: number,
    readonly file: StoredFile,
    headPage: Uint8Array,
    /** The mode before the log was taken, restored if nothing could be read. */
    readonly modeBefore: number,
  ) {
    this.#headPage = headPage;
  }

  /**
   * Takes a slot, or null if another process holds its byte. Throws `CorruptError` if the file cannot be a
   * log (it is not a file, has a wrong size, or cannot be read), and `OldFormatError` or `NewerFormatError`;
   * the slot is then left as it was.
   */
  static take(directory: DataDirectory, slot: number): HeldLog | null {
    const { storage, control, paths, sizes } = directory;
    const path = pathOfSlot(paths.logs, slot);
    storage.reach("claim.1.before");
    if (!control.tryLock(slotLock(slot))) return null;
    storage.reach("claim.1.after");
    let file: StoredFile | null = null;
    let status: FileStatus | null = null;
    try {
      status = storage.status(path);
      if (status.kind !== "file" || status.size !== sizes.logSize) {
        throw new CorruptError(
          `${path} is not a commit log: it ${
            status.kind === "file"
              ? `has ${status.size} bytes and not ${sizes.logSize}`
              : "is not a file"
          }; it is left alone (countd repair quarantines it)`,
          { path, offset: 0 },
        );
      }
      storage.reach("claim.2.before");
      linkLockName(storage, paths.logs, slot);
      storage.chmod(path, HELD_MODE);
      file = storage.open(lockPathOfSlot(paths.logs, slot), { access: "write" });
      const headPage = new Uint8Array(HEAD_PAGE_BYTES);
      readFrom({ file, path }, headPage, 0);
      storage.reach("claim.2.after");
      const held = new HeldLog(directory, slot, file, headPage, status.mode);
      held.#refuseOtherFormat(status.links > 1);
      return held;
    } catch (error) {
      if (!control.holds(slotLock(slot))) throw error; // released already
      file?.close();
      const isClosed = concernsOneFile(error, "log");
      // The log of another owner: no lock name is left, which only that owner could remove.
      if (isClosed && status?.links === 1) unlinkLockName(storage, paths.logs, slot);
      control.unlock(slotLock(slot));
      throw isClosed ? new OsError(error.syscall, path, error.code, { cause: error }) : error;
    }
  }

  /** Releases the log as it was, also a lock name that it had, and throws, if it has another format. */
  #refuseOtherFormat(hadLockName: boolean): void {
    try {
      this.header();
    } catch (error) {
      // While the byte is held: after that, another process may have claimed the log.
      if (hadLockName) this.directory.storage.chmod(this.path, this.modeBefore);
      else this.release(null);
      this.leaveForRecovery();
      throw error;
    }
  }

  get path(): string {
    return pathOfSlot(this.directory.paths.logs, this.slot);
  }

  /** The bytes of the log, read as they are needed. */
  get log(): LogWindow {
    assert(!this.#isReleased, "A released log is not accessed");
    const { window, sizes } = this.directory;
    const { file, path } = this;
    return this.#window ??= new LogWindow(window, { file, path, size: sizes.logSize });
  }

  /** The newest header, or null if it is damaged. */
  header(): LogHeader | null {
    const header = headerOf(this.#headPage, this.path);
    if (header?.slot !== this.slot) return null;
    const damaged = damagedHeaderOffset(this.#headPage, this.path, () => this.log);
    return damaged === null ? header : null;
  }

  /**
   * Stores the next header, over the older copy, and then the live word. Throws `OsError` if the disk
   * refuses: the log is then as before, or has the header and will get its word with the next store.
   */
  store(change: Partial<LogHeader> & Pick<LogHeader, "state">): LogHeader {
    const before = this.header();
    assert(before !== null, "A new header needs a valid one");
    const next: LogHeader = { ...before, ...change, sequence: before.sequence + 1n };
    assert(next.generation >= before.generation, "A generation never falls");
    storeHeader(this.file, this.#headPage, next, this.path);
    this.#change = changeOf(next);
    this.publish(next.length);
    return next;
  }

  /** Withdraws the tail of what had this slot before: its word may carry the sequence that comes next. */
  withdraw(header: LogHeader): void {
    this.#change = changeOf(header);
    this.publish(HEAD_PAGE_BYTES);
  }

  /** Stores the live word: every whole frame before `tail` may be read. */
  publish(tail: number): void {
    this.directory.control.live.store(this.slot, { change: this.#change, tail });
  }

  /**
   * Throws `CorruptError` if the log was truncated, or its number of links has changed and its plain name does
   * not lead to it. The cheapest test, for use at each sync. Another program may have linked the log as well.
   */
  refuseUnlinked(): void {
    const { links, size } = this.file.status();
    this.#refuseTruncated(size);
    if (links === this.#links) return;
    this.refuseLost();
    this.#links = links;
  }

  #refuseTruncated(size: number): void {
    if (size === this.directory.sizes.logSize) return;
    throw new CorruptError(
      `${this.path} was truncated while it was being written: what was in it and not folded may be ` +
        "lost. Answering has stopped; run countd check",
      { path: this.path, offset: 0 },
    );
  }

  /** Throws `CorruptError` if the plain name is gone or leads to another file. */
  refuseLost(): void {
    const { storage, paths } = this.directory;
    const identity = this.file.status();
    this.#refuseTruncated(identity.size);
    if (leadsTo(storage, this.path, identity)) return;
    const lockPath = lockPathOfSlot(paths.logs, this.slot);
    const what = storage.statusOrNull(paths.data) === null
      ? `Data directory ${paths.data} is gone, and with it the log that was being written: ` +
        "it was removed or moved"
      : `${this.path} does not lead to the log that was being written: it was removed or replaced`;
    const next = leadsTo(storage, lockPath, identity)
      ? `${lockPath} still leads to the log: start countd again, which recovers the log`
      : "what was written to the log and not folded is lost, unless another name leads to it";
    throw new CorruptError(`${what}. Answering has stopped; ${next}`, {
      path: this.path,
      offset: 0,
    });
  }

  /**
   * Releases the log: label, lock name, byte, in this order. `label` is the state that the header says.
   * Null restores the old label, for a log that could not be read. A log that has lost its plain name keeps its
   * lock name, by which it is found again.
   */
  release(label: "free" | "sealed" | null): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const { storage, control, paths } = this.directory;
    try {
      const mode = label === null ? this.modeBefore : modeOfState(label);
      // Not by name, which may lead to another file.
      this.file.chmod(mode);
      if (leadsTo(storage, this.path, this.file.status())) {
        unlinkLockName(storage, paths.logs, this.slot);
      }
    } finally {
      this.file.close();
      control.unlock(slotLock(this.slot));
    }
  }

  /**
   * Releases the byte and leaves the labels, for a process that must stop at once: the next holder recovers
   * the log.
   */
  leaveForRecovery(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.file.close();
    this.directory.control.unlock(slotLock(this.slot));
  }
}

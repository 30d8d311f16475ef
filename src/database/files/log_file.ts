/**
 * The file of the log: a checked log in a mapped file.
 *
 * Invariants:
 *   1  durable ≤ tail ≤ file size, and all bytes between tail and file size are zero
 *   2  a file that no process has open ends at its tail, or was left by a crash
 */

import { assert } from "../../base/assert.ts";
import { isDiskFull, type Storage, type StoredFile } from "../../file/mod.ts";
import { CheckedLog } from "../../file/checked_log/mod.ts";
import type { Entry } from "../format/entry.ts";
import { StorageFullError } from "../engine/errors.ts";
import {
  entryFrames,
  frameBytesMax,
  frameBytesOf,
  type Step,
  writeEntry,
} from "../format/frame.ts";
import { encodeLogHeader, encodeLogMark, type LogHeader } from "../format/header.ts";
import {
  HEAD_PAGE_BYTES,
  HEADER_OFFSETS,
  type Identity,
  identityOf,
  logMarkLayout,
} from "../format/layout.ts";
import { MappedFile } from "./mapped_file.ts";

export class LogFile implements Disposable {
  readonly identity: Identity;
  readonly #storage: Storage;
  readonly #mapped: MappedFile;
  readonly #log: CheckedLog;

  private constructor(
    storage: Storage,
    file: StoredFile,
    state: { identity: Identity; tail: number; durable: number },
  ) {
    this.#storage = storage;
    this.identity = state.identity;
    this.#mapped = new MappedFile(storage, file);
    assert(state.tail <= this.#mapped.size, "The log ends inside its file");
    const { tail, durable } = state;
    const log = { shape: entryFrames, seed: this.identity.seed, tail, durable };
    const syncs = { syncData: () => file.syncData(), syncDataAsync: () => this.#syncNamed() };
    this.#log = new CheckedLog(syncs, this.#mapped, log);
  }

  /** What is synced is durable only if the log has its name. */
  async #syncNamed(): Promise<void> {
    await this.#mapped.file.syncDataAsync();
    this.refuseLost();
  }

  /** Throws `LostNameError` if the file was removed, moved or replaced. */
  refuseLost(): void {
    this.#mapped.refuseLost();
  }

  /** Makes an empty log in an empty file. */
  static create(
    storage: Storage,
    file: StoredFile,
    header: LogHeader,
  ): LogFile {
    file.avoidCopyOnWrite();
    file.allocate(0, HEAD_PAGE_BYTES);
    const bytes = encodeLogHeader(header);
    for (const offset of HEADER_OFFSETS) file.write(bytes, offset);
    return new LogFile(storage, file, {
      identity: identityOf(header.identity),
      tail: HEAD_PAGE_BYTES,
      durable: HEAD_PAGE_BYTES,
    });
  }

  /** Continues a recovered log, which ends at `tail` and is durable up to `durable`. */
  static resume(
    storage: Storage,
    file: StoredFile,
    state: { identity: Identity; tail: number; durable: number },
  ): LogFile {
    // The log mark is stored there. If blocks are smaller than pages, a sparse copy has a hole there.
    file.allocate(0, HEAD_PAGE_BYTES);
    return new LogFile(storage, file, state);
  }

  get path(): string {
    return this.#mapped.file.path;
  }

  /** End of the last frame. */
  get tail(): number {
    return this.#log.tail;
  }

  /** Durable length of the log. */
  get durable(): number {
    return this.#log.durable;
  }

  /** How many times the file grew. */
  get resizes(): number {
    return this.#mapped.resizes;
  }

  /** The log up to its tail. The view must not be kept: the next growth unmaps it. */
  get bytes(): Uint8Array {
    return this.mapped.subarray(0, this.tail);
  }

  /** The whole file. The view must not be kept either. */
  get mapped(): Uint8Array {
    return this.#mapped.memory.bytes;
  }

  /** Grows the file for the frames of a step. Throws `StorageFullError` with nothing changed. */
  reserve(entries: readonly (Entry | null)[]): void {
    // Counting bytes takes longer than storing them, so an upper bound is tried first.
    let end = this.tail;
    for (const entry of entries) end += frameBytesMax(entry);
    if (end <= this.#mapped.size) return;
    end = this.tail;
    for (const entry of entries) end += frameBytesOf(entry);
    try {
      this.#mapped.reserve(end);
    } catch (cause) {
      if (!isDiskFull(cause)) throw cause;
      throw new StorageFullError(
        `No space left for the log ${this.path}: free some space, then try again`,
        { cause },
      );
    }
  }

  /** Stores one frame, for which `reserve` was called; returns its offset. */
  append(entry: Entry | null, step: Step): number {
    const end = writeEntry(this.#mapped.memory, this.#log.start, entry, step);
    const offset = this.#log.append(end);
    assert(this.tail <= this.#mapped.size, "A frame ends inside the file");
    return offset;
  }

  /** Syncs the present content on another thread. Throws `LostNameError` if the log has lost its name. */
  async sync(): Promise<void> {
    this.#storage.reach("db.sync.log.before");
    await this.#log.sync();
    this.#storage.reach("db.sync.log.after");
  }

  /** Syncs the present content on this thread. */
  syncNow(): void {
    this.#log.syncNow();
  }

  /**
   * Stores the log mark after a sync, unmaps the file, and truncates it to the tail. `syncClosed` makes
   * that durable.
   */
  markClosed(): void {
    assert(this.durable === this.tail, "A log is synced before it is closed");
    this.#storage.reach("db.close.mark.before");
    this.mapped.set(encodeLogMark(this.durable), logMarkLayout.durable.offset);
    this.#storage.reach("db.close.mark.after");
    this.#mapped.release();
    this.#storage.reach("db.close.truncate.before");
    this.#mapped.file.truncate(this.tail);
    this.#storage.reach("db.close.truncate.after");
  }

  /** Makes durable what `markClosed` did. If it fails, it must not be tried again. */
  syncClosed(): void {
    this.#mapped.file.sync();
    this.#storage.reach("db.close.sync.after");
  }

  /** Releases the mapping and the file without a sync. */
  close(): void {
    this.#mapped.release();
    this.#mapped.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * The file of the log: a mapped file to which frames are appended. It grows by doubling. Space is
 * allocated before it is mapped, so no store can fail for want of space.
 *
 * Invariants:
 *   1  durable ≤ tail ≤ file size, and all bytes between tail and file size are zero
 *   2  a file that no process has open ends at its tail, or was left by a crash
 */

import { assert } from "../../base/assert.ts";
import { isDiskFull, type Mapping, type Storage, type StoredFile } from "../../file/mod.ts";
import type { Entry } from "../format/entry.ts";
import { StorageFullError } from "../engine/errors.ts";
import {
  frameBytesMax,
  frameBytesOf,
  type FrameMemory,
  frameMemory,
  type Step,
  writeFrame,
} from "../format/frame.ts";
import { encodeLogHeader, encodeLogMark, type LogHeader } from "../format/header.ts";
import {
  grownSize,
  HEAD_PAGE_BYTES,
  HEADER_OFFSETS,
  type Identity,
  identityOf,
  logMarkLayout,
  roundUp,
} from "../format/layout.ts";

export class LogFile implements Disposable {
  readonly identity: Identity;
  readonly #storage: Storage;
  readonly #file: StoredFile;
  #mapping: Mapping;
  #memory: FrameMemory;
  /** Size of the file. Bytes beyond it must not be accessed. */
  #size: number;
  #tail: number;
  #durable: number;
  #resizes = 0;

  private constructor(
    storage: Storage,
    file: StoredFile,
    state: { identity: Identity; tail: number; durable: number },
  ) {
    this.#storage = storage;
    this.#file = file;
    this.identity = state.identity;
    this.#size = file.status().size;
    this.#tail = state.tail;
    this.#durable = state.durable;
    assert(this.#tail <= this.#size, "The log ends inside its file");
    this.#mapping = file.map(roundUp(this.#size, storage.pageSize), "write");
    this.#memory = frameMemory(this.#mapping.bytes);
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
    return this.#file.path;
  }

  /** End of the last frame. */
  get tail(): number {
    return this.#tail;
  }

  /** Durable length of the log. */
  get durable(): number {
    return this.#durable;
  }

  /** How many times the file grew. */
  get resizes(): number {
    return this.#resizes;
  }

  /** The log up to its tail. The view must not be kept: the next growth unmaps it. */
  get bytes(): Uint8Array {
    return this.#memory.bytes.subarray(0, this.#tail);
  }

  /** The whole mapping. Only bytes below the tail may be read. */
  get mapped(): Uint8Array {
    return this.#memory.bytes;
  }

  /** Grows the file for the frames of a step. Throws `StorageFullError` with nothing changed. */
  reserve(entries: readonly (Entry | null)[]): void {
    // Counting bytes takes longer than storing them, so an upper bound is tried first.
    let end = this.#tail;
    for (const entry of entries) end += frameBytesMax(entry);
    if (end <= this.#size) return;
    end = this.#tail;
    for (const entry of entries) end += frameBytesOf(entry);
    if (end > this.#size) this.#grow(end);
  }

  /** Stores one frame, for which `reserve` was called; returns its offset. */
  append(entry: Entry | null, step: Omit<Step, "durable">): number {
    const offset = this.#tail;
    this.#tail = writeFrame(this.#memory, offset, {
      seed: this.identity.seed,
      entry,
      step: {
        kind: step.kind,
        index: step.index,
        committed: step.committed,
        continues: step.continues,
        durable: this.#durable,
      },
    });
    assert(this.#tail <= this.#size, "A frame ends inside the file");
    return offset;
  }

  #grow(end: number): void {
    let size = grownSize(this.#size, end);
    try {
      this.#allocate(size);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      // Almost full: take no more than this step needs.
      size = roundUp(end, HEAD_PAGE_BYTES);
      this.#allocateOrRefuse(size);
    }
    const mapping = this.#file.map(roundUp(size, this.#storage.pageSize), "write");
    this.#mapping.release();
    this.#mapping = mapping;
    this.#memory = frameMemory(mapping.bytes);
    this.#size = size;
    this.#resizes++;
  }

  /** Allocates from the page in which the file ends, because a sparse copy may have a hole there. */
  #allocate(size: number): void {
    const start = this.#size - this.#size % this.#storage.pageSize;
    this.#file.allocate(start, size - start);
  }

  #allocateOrRefuse(size: number): void {
    try {
      this.#allocate(size);
    } catch (cause) {
      if (!isDiskFull(cause)) throw cause;
      throw new StorageFullError(
        `No space left for the log ${this.path}: free some space, then try again`,
        {
          cause,
        },
      );
    }
  }

  /** Syncs the present content on another thread; returns how far the log is durable then. */
  async sync(): Promise<number> {
    const tail = this.#tail;
    await this.#file.syncDataAsync();
    this.#durable = Math.max(this.#durable, tail);
    return tail;
  }

  /** Syncs the present content on this thread. */
  syncNow(): void {
    this.#file.syncData();
    this.#durable = this.#tail;
  }

  /**
   * Stores the log mark after a sync, unmaps the file, and truncates it to the tail. `syncClosed` makes
   * that durable.
   */
  markClosed(): void {
    assert(this.#durable === this.#tail, "A log is synced before it is closed");
    this.#storage.reach("db.close.mark.before");
    this.#memory.bytes.set(encodeLogMark(this.#durable), logMarkLayout.durable.offset);
    this.#storage.reach("db.close.mark.after");
    this.#mapping.release();
    this.#storage.reach("db.close.truncate.before");
    this.#file.truncate(this.#tail);
    this.#storage.reach("db.close.truncate.after");
  }

  /** Makes durable what `markClosed` did. If it fails, it must not be tried again. */
  syncClosed(): void {
    this.#file.sync();
    this.#storage.reach("db.close.sync.after");
  }

  /** Releases the mapping and the file without a sync. */
  close(): void {
    this.#mapping.release();
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

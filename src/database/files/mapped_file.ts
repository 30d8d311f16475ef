/**
 * A mapped file that grows by doubling. Space is allocated before it is mapped, so no store can fail for
 * want of space. Frames are made in the mapping itself.
 */

import { isDiskFull, type Mapping, type Storage, type StoredFile } from "../../file/mod.ts";
import { type FrameStore, LogBytes } from "../../file/checked_log/mod.ts";
import { grownSize, HEAD_PAGE_BYTES, roundUp } from "../format/layout.ts";
import { refuseLost } from "./names.ts";

export class MappedFile implements FrameStore {
  readonly file: StoredFile;
  readonly #storage: Storage;
  #mapping: Mapping | null = null;
  #memory = new LogBytes(new Uint8Array(0));
  #resizes = 0;

  /** Maps the file as it is. */
  constructor(storage: Storage, file: StoredFile) {
    this.#storage = storage;
    this.file = file;
    this.map(file.status().size);
  }

  /** Throws `LostNameError` if the file was removed, moved or replaced. */
  refuseLost(): void {
    refuseLost(this.#storage, this.file);
  }

  /** The bytes of the file. The memory must not be kept: the next growth unmaps it. */
  get memory(): LogBytes {
    return this.#memory;
  }

  get size(): number {
    return this.#memory.bytes.length;
  }

  /** How many times the file grew. */
  get resizes(): number {
    return this.#resizes;
  }

  startOf(offset: number): number {
    return offset;
  }

  /** A frame exists as soon as its length is stored in the mapping. */
  put(): void {}

  /** Grows the file so that it reaches `end`. Throws `OsError`, with nothing changed, on a full disk. */
  reserve(end: number): void {
    if (end <= this.size) return;
    let size = grownSize(this.size, end);
    // From the page in which the file ends, because a sparse copy may have a hole there.
    const start = this.size - this.size % this.#storage.pageSize;
    try {
      this.file.allocate(start, size - start);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      // Almost full: take no more than is needed.
      size = roundUp(end, HEAD_PAGE_BYTES);
      this.file.allocate(start, size - start);
    }
    this.map(size);
    this.#resizes++;
  }

  /** Maps the file anew. If that fails, the old mapping and size stay, and it may be tried again. */
  map(size: number): void {
    const mapping = this.file.map(roundUp(size, this.#storage.pageSize), "write");
    this.#mapping?.release();
    this.#mapping = mapping;
    this.#memory = new LogBytes(mapping.bytes.subarray(0, size));
  }

  /** Releases the mapping and leaves the file open. */
  release(): void {
    this.#mapping?.release();
    this.#mapping = null;
  }
}

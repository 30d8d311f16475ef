/**
 * The file of the map: a head page with two headers, and space for two snapshots. A new snapshot is
 * written beside the newest one. Then its header replaces the older header, so one whole snapshot exists
 * at every moment.
 *
 * Invariants:
 *   1  the region of the newest header is never written to
 *   2  a header is stored only after its region is durable
 */

import { assert } from "../../base/assert.ts";
import { isDiskFull, type Mapping, type Storage, type StoredFile } from "../../file/mod.ts";
import { encodeMapHeader, type MapHeader } from "../format/header.ts";
import {
  grownSize,
  HEAD_PAGE_BYTES,
  HEADER_COPY_BYTES,
  type Identity,
  roundUp,
} from "../format/layout.ts";

/** Where a region may be written: from `offset` up to `limit` (Infinity at the end of the file). */
export interface Place {
  readonly offset: number;
  readonly limit: number;
}

export class MapFile implements Disposable {
  readonly identity: Identity;
  readonly #storage: Storage;
  readonly #file: StoredFile;
  #mapping: Mapping | null = null;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0));
  #size = 0;
  #header: MapHeader | null;
  /** Offset of the newest header; the next one goes to the other copy. */
  #headerOffset: number;
  #resizes = 0;

  /**
   * Maps the file as it is. `current` is the newest header and its offset, or null without a header.
   * Nothing may be stored before `allocateWhole`.
   */
  constructor(
    storage: Storage,
    file: StoredFile,
    state: {
      readonly identity: Identity;
      readonly current: { readonly header: MapHeader; readonly offset: number } | null;
    },
  ) {
    this.#storage = storage;
    this.#file = file;
    this.identity = state.identity;
    this.#header = state.current?.header ?? null;
    this.#headerOffset = state.current?.offset ?? HEADER_COPY_BYTES;
    this.#map(file.status().size);
  }

  /** Makes an empty map in an empty file. */
  static create(storage: Storage, file: StoredFile, identity: Identity): MapFile {
    file.avoidCopyOnWrite();
    file.allocate(0, HEAD_PAGE_BYTES);
    return new MapFile(storage, file, { identity, current: null });
  }

  /**
   * Allocates every byte on disk, so that no store can fail for want of space. A sparse copy has holes
   * in place of zeros. `stat` cannot show that, because it also counts blocks of the file system itself.
   * Without holes nothing changes. Throws `OsError` if the disk is full.
   */
  allocateWhole(): void {
    const size = Math.max(this.#size, HEAD_PAGE_BYTES);
    try {
      this.#file.allocate(0, size);
    } catch (error) {
      // Some file systems ask for space for the whole range before they find it allocated.
      if (!isDiskFull(error) || this.#file.status().allocatedBytes < size) throw error;
    }
    if (size > this.#size) this.#map(size);
  }

  get path(): string {
    return this.#file.path;
  }

  get resizes(): number {
    return this.#resizes;
  }

  /** The newest header. */
  get header(): MapHeader | null {
    return this.#header;
  }

  /** Bytes of the file. The view must not be kept: the next growth unmaps it. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The same bytes as a view for numbers. */
  get view(): DataView<ArrayBufferLike> {
    return this.#view;
  }

  /** The place for a region of about `estimate` bytes: before the newest region, or behind it. */
  place(estimate: number): Place {
    const header = this.#header;
    if (header === null || header.regionBytes === 0) {
      return { offset: HEAD_PAGE_BYTES, limit: Infinity };
    }
    if (HEAD_PAGE_BYTES + estimate <= header.regionOffset) {
      return { offset: HEAD_PAGE_BYTES, limit: header.regionOffset };
    }
    return this.placeBehind();
  }

  /** The place behind the newest region, without a limit. */
  placeBehind(): Place {
    const header = this.#header;
    const end = header === null ? HEAD_PAGE_BYTES : header.regionOffset + header.regionBytes;
    return { offset: roundUp(end, HEAD_PAGE_BYTES), limit: Infinity };
  }

  /** Grows the file so that it reaches `end`. Throws `OsError` if the disk is full. */
  reserve(end: number): void {
    if (end <= this.#size) return;
    let size = grownSize(this.#size, end);
    try {
      this.#file.allocate(this.#size, size - this.#size);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      size = roundUp(end, HEAD_PAGE_BYTES);
      this.#file.allocate(this.#size, size - this.#size);
    }
    this.#map(size);
    this.#resizes++;
  }

  /** Maps the file anew. If that fails, the old mapping and size stay, and it may be tried again. */
  #map(size: number): void {
    const length = roundUp(size, this.#storage.pageSize);
    const mapping = this.#file.map(length, "write");
    this.#mapping?.release();
    this.#mapping = mapping;
    this.#size = size;
    this.#bytes = mapping.bytes.subarray(0, size);
    this.#view = new DataView(mapping.bytes.buffer, mapping.bytes.byteOffset, size);
  }

  /** Syncs everything that was stored, on another thread. */
  async sync(): Promise<void> {
    await this.#file.syncDataAsync();
  }

  /** Syncs everything that was stored, on this thread. */
  syncNow(): void {
    this.#file.syncData();
  }

  /** Stores the header of a durable region. The caller syncs again. */
  storeHeader(header: MapHeader): void {
    assert(
      header.generation === (this.#header?.generation ?? 0) + 1,
      "Generations follow each other",
    );
    assert(header.identity === this.identity.value, "A header belongs to its database");
    const offset = this.#headerOffset === 0 ? HEADER_COPY_BYTES : 0;
    this.#bytes.set(encodeMapHeader(header), offset);
    this.#header = header;
    this.#headerOffset = offset;
  }

  close(): void {
    this.release();
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Releases the mapping and leaves the file open. */
  release(): void {
    this.#mapping?.release();
    this.#mapping = null;
  }
}

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
import { endOfData, isDiskFull, type Storage, type StoredFile } from "../../file/mod.ts";
import type { LogBytes } from "../../file/checked_log/mod.ts";
import { encodeMapHeader, type MapHeader } from "../format/header.ts";
import { HEAD_PAGE_BYTES, HEADER_COPY_BYTES, type Identity, roundUp } from "../format/layout.ts";
import { MappedFile } from "./mapped_file.ts";

/** Where a region may be written: from `offset` up to `limit` (Infinity at the end of the file). */
export interface Place {
  readonly offset: number;
  readonly limit: number;
}

/** Where a snapshot was written, and how many keys it has. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
  readonly keys: number;
}

export class MapFile implements Disposable {
  readonly identity: Identity;
  readonly #mapped: MappedFile;
  #header: MapHeader | null;
  /** Offset of the newest header; the next one goes to the other copy. */
  #headerOffset: number;

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
    this.identity = state.identity;
    this.#header = state.current?.header ?? null;
    this.#headerOffset = state.current?.offset ?? HEADER_COPY_BYTES;
    this.#mapped = new MappedFile(storage, file);
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
    const { file } = this.#mapped;
    const size = Math.max(Math.min(this.#mapped.size, this.#endInUse()), HEAD_PAGE_BYTES);
    if (size < this.#mapped.size) {
      // The hole behind the snapshots would take space that no snapshot needs yet.
      this.#mapped.map(size);
      file.truncate(size);
    }
    try {
      file.allocate(0, size);
    } catch (error) {
      // Some file systems ask for space for the whole range before they find it allocated.
      if (!isDiskFull(error) || file.status().allocatedBytes < size) throw error;
    }
    if (size > this.#mapped.size) this.#mapped.map(size);
  }

  #endInUse(): number {
    const { regionOffset, regionBytes } = this.#header ?? { regionOffset: 0, regionBytes: 0 };
    const end = Math.max(regionOffset + regionBytes, endOfData(this.#mapped.file));
    return roundUp(end, HEAD_PAGE_BYTES);
  }

  get path(): string {
    return this.#mapped.file.path;
  }

  get resizes(): number {
    return this.#mapped.resizes;
  }

  /** The newest header. */
  get header(): MapHeader | null {
    return this.#header;
  }

  /** The bytes of the file. The memory must not be kept: the next growth unmaps it. */
  get memory(): LogBytes {
    return this.#mapped.memory;
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
    this.#mapped.reserve(end);
  }

  /** Throws `LostNameError` if the file was removed, moved or replaced. */
  refuseLost(): void {
    this.#mapped.refuseLost();
  }

  /** Syncs everything that was stored, on another thread. Throws `LostNameError` if the map has lost its name. */
  async sync(): Promise<void> {
    await this.#mapped.file.syncDataAsync();
    this.refuseLost();
  }

  /** Syncs everything that was stored, on this thread. */
  syncNow(): void {
    this.#mapped.file.syncData();
  }

  /**
   * Stores the header of a durable region, which was begun when the log was in the given state. The log is
   * durable up to `logMin`. The caller syncs again.
   */
  storeHeader(
    region: Region,
    { tail, entries, committed }: {
      readonly tail: number;
      readonly entries: number;
      readonly committed: number;
    },
    logMin: number,
  ): void {
    assert(logMin >= tail, "The log is durable up to where a start replays it");
    const header: MapHeader = {
      // Every field that is known gets a value below.
      ...this.#header,
      identity: this.identity.value,
      generation: (this.#header?.generation ?? 0) + 1,
      regionOffset: region.offset,
      regionBytes: region.bytes,
      keys: region.keys,
      replayFrom: tail,
      logMin,
      entries,
      committed,
    };
    const offset = this.#headerOffset === 0 ? HEADER_COPY_BYTES : 0;
    this.memory.bytes.set(encodeMapHeader(header), offset);
    this.#header = header;
    this.#headerOffset = offset;
  }

  close(): void {
    this.release();
    this.#mapped.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Releases the mapping and leaves the file open. */
  release(): void {
    this.#mapped.release();
  }
}

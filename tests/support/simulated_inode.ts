/**
 * Files of the simulated disk: what programs see (`live`) and what a power cut would leave
 * (`durable`), kept apart. Bytes move from the first to the second only by a sync.
 *
 * Invariants:
 *   1  `live` and `durable` are zero past `size` and `durableSize`
 *   2  a page of `live` that differs from `believed` (or from `durable` without it) is dirty
 *   3  while a mapping exists, the buffer below `live` is never replaced
 */

import { crc32 } from "node:zlib";
import { assert } from "../../src/base/assert.ts";
import { FilePages, PAGE_BYTES, roundUp, type Space } from "./simulated_space.ts";

export const SECTOR_BYTES = 512;
export const SECTORS_PER_PAGE = PAGE_BYTES / SECTOR_BYTES;

/** The program died of a signal that a real kernel would have sent (SIGBUS). */
export class SimulatedBusError extends Error {
  override readonly name = "SimulatedBusError";
}

/** The simulator cannot model this; a test that meets it must be written in another way. */
export class SimulatorLimitError extends Error {
  override readonly name = "SimulatorLimitError";
}

export type Inode = FileInode | DirectoryInode;

export class DirectoryInode {
  readonly kind = "directory";
  readonly entries = new Map<string, Inode>();
  durable = new Map<string, Inode>();
  durableMode: number;
  modifiedMs = 0;

  constructor(readonly number: bigint, public mode: number) {
    this.durableMode = mode;
  }
}

export class FileInode {
  readonly kind = "file";
  #buffer = new ArrayBuffer(0);
  live = new Uint8Array(this.#buffer);
  size = 0;
  links = 0;
  descriptors = 0;
  modifiedMs = 0;
  durable = new Uint8Array(0);
  durableSize = 0;
  durableMode: number;
  /** Every size since the last sync, the durable one first. */
  sizes = [0];
  /** What the kernel takes for written after a failed sync; null while it is equal to `durable`. */
  #believed: Uint8Array | null = null;
  readonly #pages: FilePages;
  #mappings: number[] = [];
  #syncs = 0;

  constructor(readonly number: bigint, public mode: number, readonly space: Space) {
    this.durableMode = mode;
    this.#pages = new FilePages(space);
  }

  get allocatedPages(): number {
    return this.#pages.count;
  }

  get pageCount(): number {
    return Math.ceil(this.size / PAGE_BYTES);
  }

  /** Makes `live` at least `bytes` long. */
  #reserve(bytes: number): void {
    if (bytes <= this.live.length) return;
    if (this.#mappings.length > 0) {
      throw new SimulatorLimitError(
        `A mapped file of ${this.live.length} bytes cannot grow to ${bytes}: map it longer at first`,
      );
    }
    const buffer = new ArrayBuffer(Math.max(roundUp(bytes), 2 * this.live.length));
    const grown = new Uint8Array(buffer);
    grown.set(this.live);
    this.#buffer = buffer;
    this.live = grown;
  }

  /** A view of the first `length` bytes that every other mapping and read shares. */
  map(length: number, reserve: number): Uint8Array {
    if (this.#mappings.length === 0) this.#reserve(Math.max(roundUp(length), reserve));
    else this.#reserve(roundUp(length));
    this.#mappings.push(length);
    return new Uint8Array(this.#buffer, 0, length);
  }

  unmap(length: number): void {
    this.checkStores();
    const index = this.#mappings.indexOf(length);
    assert(index >= 0, "A mapping is released once");
    this.#mappings.splice(index, 1);
  }

  get mapped(): boolean {
    return this.#mappings.length > 0;
  }

  read(into: Uint8Array, offset: number): number {
    const end = Math.min(this.size, offset + into.length);
    if (end <= offset) return 0;
    into.set(this.live.subarray(offset, end));
    return end - offset;
  }

  /** Writes as much as there is space for; returns the bytes written. */
  write(bytes: Uint8Array, offset: number): number {
    const fits = this.allocate(offset, bytes.length, { partly: true });
    if (fits === 0) return 0;
    this.#resize(Math.max(this.size, offset + fits));
    this.live.set(bytes.subarray(0, fits), offset);
    this.#forgetBelief(offset, offset + fits);
    return fits;
  }

  /** Marks a written page dirty, also if a failed sync left the kernel believing in its content. */
  #forgetBelief(offset: number, end: number): void {
    const believed = this.#believed;
    if (believed === null) return;
    for (let at = offset - offset % PAGE_BYTES; at < end; at += PAGE_BYTES) {
      if (at < believed.length) believed[at] = (this.live[at] ?? 0) ^ 0xff;
    }
  }

  /** Takes pages for a range, see `FilePages.allocate`. Does not change the size. */
  allocate(offset: number, length: number, options: { partly: boolean }): number {
    return this.#pages.allocate(offset, length, options);
  }

  /** Frees all space: the last name and the last descriptor are gone. */
  free(): void {
    this.#pages.give(0);
  }

  #resize(size: number): void {
    if (size === this.size) return;
    this.#reserve(size);
    this.size = size;
    this.sizes.push(size);
  }

  grow(size: number): void {
    this.#resize(Math.max(size, this.size));
  }

  truncate(size: number): void {
    if (size < this.size) {
      this.live.fill(0, size, this.size);
      this.#pages.give(Math.ceil(size / PAGE_BYTES));
    }
    this.#resize(size);
  }

  deallocate(offset: number, length: number): void {
    const end = Math.min(this.size, offset + length);
    if (end <= offset) return;
    this.live.fill(0, offset, end);
    const whole = offset + length >= this.size ? Math.ceil(end / PAGE_BYTES) : 0;
    this.#pages.give(
      Math.ceil(offset / PAGE_BYTES),
      Math.max(whole, Math.floor((offset + length) / PAGE_BYTES)),
    );
  }

  /**
   * Finds stores through mappings that a real kernel would not have survived: past the last page of
   * the file, or into a hole of a full disk.
   */
  checkStores(): void {
    if (this.#mappings.length === 0) return;
    const fileEnd = roundUp(this.size);
    for (const length of this.#mappings) {
      for (let byte = fileEnd; byte < length; byte++) {
        if (this.live[byte] !== 0) {
          throw new SimulatedBusError(`Store at byte ${byte}, past the end of the file`);
        }
      }
    }
    for (let page = 0; page < this.pageCount; page++) {
      if (this.#pages.has(page) || this.#pageIsZero(page)) continue;
      if (this.space.freePages === 0) {
        throw new SimulatedBusError(`Store into page ${page}, which has no space on the disk`);
      }
      this.space.storesIntoHoles++;
      this.allocate(page * PAGE_BYTES, PAGE_BYTES, { partly: false });
    }
  }

  #pageIsZero(page: number): boolean {
    const end = Math.min(this.size, (page + 1) * PAGE_BYTES);
    for (let byte = page * PAGE_BYTES; byte < end; byte++) if (this.live[byte] !== 0) return false;
    return true;
  }

  /** Makes the data of a range, and the size, durable. */
  sync(offset = 0, end = Infinity): void {
    this.checkStores();
    this.#syncs++;
    this.#makeDurable(this.live, this.size, { offset, end });
  }

  /** The state that an asynchronous sync started with. */
  snapshot(): { bytes: Uint8Array; size: number; syncs: number } {
    this.checkStores();
    return { bytes: this.live.slice(0, this.size), size: this.size, syncs: this.#syncs };
  }

  /** Ends an asynchronous sync: exactly the state at its beginning is durable. */
  complete(snapshot: { bytes: Uint8Array; size: number; syncs: number }): void {
    // A sync that began later and ended earlier has already made newer bytes durable.
    if (snapshot.syncs !== this.#syncs) return;
    this.#makeDurable(snapshot.bytes, snapshot.size, { offset: 0, end: Infinity });
  }

  #makeDurable(bytes: Uint8Array, size: number, range: { offset: number; end: number }): void {
    this.#setDurableSize(size);
    const end = Math.min(size, range.end);
    if (this.#believed === null) {
      if (range.offset < end) {
        this.durable.set(bytes.subarray(range.offset, end), range.offset);
      }
      return;
    }
    const believed = resized(this.#believed, size);
    for (let at = range.offset; at < end; at += PAGE_BYTES) {
      const to = Math.min(at + PAGE_BYTES, end);
      if (firstDifference(bytes, believed, at, to) < 0) continue;
      this.durable.set(bytes.subarray(at, to), at);
      believed.set(bytes.subarray(at, to), at);
    }
    this.#believed = believed;
  }

  #setDurableSize(size: number): void {
    if (size > this.durable.length) {
      this.durable = resized(this.durable, Math.max(roundUp(size), this.durable.length));
    }
    if (size < this.durableSize) this.durable.fill(0, size);
    this.durableSize = size;
    this.sizes = size === this.size ? [size] : [size, this.size];
  }

  /** Fails a sync: the kernel drops the dirty marks, and unwritten pages stay unwritten. */
  failSync(): void {
    this.#believed = this.live.slice(0, this.size);
  }

  /** Lets the kernel write one page by itself. */
  writeBack(page: number): void {
    const from = page * PAGE_BYTES;
    const end = Math.min(this.size, from + PAGE_BYTES);
    if (from >= end) return;
    if (end > this.durable.length) this.durable = resized(this.durable, roundUp(end));
    this.durable.set(this.live.subarray(from, end), from);
  }

  /** Numbers of the pages whose live bytes are not the durable ones. */
  dirtyPages(): number[] {
    const pages: number[] = [];
    const limit = Math.max(this.size, this.durableSize);
    for (let from = 0; from < limit; from += PAGE_BYTES) {
      const end = Math.min(limit, from + PAGE_BYTES);
      if (firstDifference(this.live, this.durable, from, end) >= 0) {
        pages.push(from / PAGE_BYTES);
      }
    }
    return pages;
  }

  /** A bit for each sector of a page that is dirty. */
  dirtySectors(page: number): number {
    let mask = 0;
    for (let sector = 0; sector < SECTORS_PER_PAGE; sector++) {
      const from = page * PAGE_BYTES + sector * SECTOR_BYTES;
      if (firstDifference(this.live, this.durable, from, from + SECTOR_BYTES) >= 0) {
        mask |= 1 << sector;
      }
    }
    return mask;
  }

  /**
   * A copy for another disk in which everything is durable: `size` bytes, and the sectors that
   * `takes` names (a bit mask per page) from the live bytes, the others from the durable ones.
   */
  image(number: bigint, space: Space, options: {
    size: number;
    mode: number;
    takes: (page: number) => number;
  }): FileInode {
    const copy = new FileInode(number, options.mode, space);
    copy.#reserve(options.size);
    copy.live.set(this.durable.subarray(0, Math.min(options.size, this.durable.length)));
    for (const page of this.dirtyPages()) {
      const takes = options.takes(page);
      for (let sector = 0; sector < SECTORS_PER_PAGE; sector++) {
        if ((takes & (1 << sector)) === 0) continue;
        const from = page * PAGE_BYTES + sector * SECTOR_BYTES;
        // A size that was truncated reaches the disk together with its freed blocks.
        const end = Math.min(from + SECTOR_BYTES, options.size, this.size);
        if (from < end) copy.live.set(this.live.subarray(from, end), from);
      }
    }
    copy.#adopt(options.size, this.#pages);
    return copy;
  }

  /** An exact copy for another disk: live and durable bytes stay apart. */
  twin(number: bigint, space: Space): FileInode {
    const copy = new FileInode(number, this.mode, space);
    copy.#reserve(this.size);
    copy.live.set(this.live.subarray(0, this.size));
    copy.#adopt(this.size, this.#pages);
    copy.durable = this.durable.slice();
    copy.durableSize = this.durableSize;
    copy.durableMode = this.durableMode;
    copy.sizes = this.sizes.slice();
    copy.#believed = this.#believed?.slice() ?? null;
    copy.modifiedMs = this.modifiedMs;
    return copy;
  }

  /** Equal for files with equal content, durable content and attributes. */
  digest(): string {
    const live = digestOf(this.live.subarray(0, this.size));
    const durable = digestOf(this.durable.subarray(0, this.durableSize));
    const believed = this.#believed === null ? "" : digestOf(this.#believed);
    return `${this.mode} ${this.durableMode} ${this.sizes} ${this.allocatedPages} ${live} ` +
      `${durable} ${believed}`;
  }

  #adopt(size: number, pages: FilePages): void {
    this.size = size;
    this.durable = this.live.slice(0, roundUp(size));
    this.durableSize = size;
    this.sizes = [size];
    this.#pages.adopt(pages);
    for (let page = 0; page < this.pageCount; page++) {
      if (!this.#pages.has(page) && !this.#pageIsZero(page)) this.#pages.take(page);
    }
  }
}

function resized(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, Math.min(length, bytes.length)));
  return copy;
}

/** First index in from … end at which two arrays differ (missing bytes are zero), or −1. */
function firstDifference(one: Uint8Array, other: Uint8Array, from: number, end: number): number {
  const common = Math.min(end, one.length, other.length);
  let index = from;
  if (from % 4 === 0 && common > from) {
    const count = (common - from) >> 2;
    const left = new Int32Array(one.buffer, one.byteOffset + from, count);
    const right = new Int32Array(other.buffer, other.byteOffset + from, count);
    let word = 0;
    while (word < count && left[word] === right[word]) word++;
    index = from + word * 4;
  }
  for (; index < end; index++) {
    if ((one[index] ?? 0) !== (other[index] ?? 0)) return index;
  }
  return -1;
}

/**
 * A checksum of parts. A CRC-32 of all bytes would be the same for every valid content of a sector that ends
 * with its own CRC-32, such as the header of a log.
 */
function digestOf(bytes: Uint8Array): number {
  let digest = 0;
  for (let from = 0; from < bytes.length; from += SECTOR_BYTES / 2) {
    digest = (Math.imul(digest, 31) + crc32(bytes.subarray(from, from + SECTOR_BYTES / 2))) | 0;
  }
  return digest;
}

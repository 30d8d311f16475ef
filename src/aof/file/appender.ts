/**
 * The path of a write. Nothing is allocated in it: no view, no closure, no bigint.
 *
 *   1. Every byte below `size` is as it was written and never changes.
 *   2. size + mark ≤ file size ≤ upper size: a store always has a file, and space, under it.
 *   3. The mark is stored after the bytes, the published size after the mark.
 *   4. What a failed call began is rolled back: the next call works.
 */

import { assert } from "../../base/assert.ts";
import { UsageError } from "../../base/errors.ts";
import { AppendEvent, type AppendFunc } from "./append_event.ts";
import {
  ErrAppendFuncNil,
  ErrEndOfFile,
  ErrShortBuffer,
  ErrShrink,
  ErrWouldBlock,
} from "./errors.ts";
import { type Geometry, roundUp } from "./geometry.ts";
import type { Life } from "./life.ts";
import { MARK_SIZE } from "../marks/magic.ts";
import type { Marks, StoreAtOnce } from "../marks/marks.ts";
import type { Parts } from "./parts.ts";
import type { PublishedSize } from "../tail/published_size.ts";
import type { Region } from "./region.ts";
import { FileStats } from "./stats.ts";
import type { Subscriptions } from "../tail/subscriptions.ts";

export class Appender {
  readonly fileStats: FileStats = new FileStats();
  /** Bytes of the mark behind the data; 0 without marks. */
  readonly markSize: number;
  readonly #parts: Parts;
  readonly #region: Region;
  readonly #geometry: Geometry;
  readonly #marks: Marks | null;
  readonly #published: PublishedSize | null;
  readonly #subscriptions: Subscriptions;
  readonly #life: Life;
  readonly #event: AppendEvent;
  readonly #storeAtOnce: StoreAtOnce;
  #bytes: Uint8Array;
  #size: number;
  /** Greatest end of the data that fits into the file as it is; -1 while nothing may be written. */
  #writableEnd = -1;
  #isOpen = true;
  /** Size of the data from which on the file should be extended ahead of the writes. */
  #lowWater = Infinity;
  #headroom = 0;
  #lowCapacity: ((neededBytes: number) => void) | null = null;
  #isAppending = false;
  #isExtending = false;

  constructor(parts: Parts, subscriptions: Subscriptions, life: Life) {
    this.#parts = parts;
    this.#region = parts.region;
    this.#bytes = parts.region.bytes;
    this.#geometry = parts.geometry;
    this.#marks = parts.marks;
    this.markSize = parts.marks === null ? 0 : MARK_SIZE;
    this.#published = parts.published;
    this.#size = parts.size;
    this.#subscriptions = subscriptions;
    this.#life = life;
    this.#event = new AppendEvent(this.#bytes);
    this.#storeAtOnce = (bytes, offset) => parts.region.storeAtOnce(bytes, offset);
  }

  get size(): number {
    return this.#size;
  }

  /** Accept writes from now on. */
  start(): void {
    this.#isOpen = true;
    this.#setWritableEnd();
  }

  /** Refuse writes from now on. The memory may be released. */
  stop(): void {
    this.#isOpen = false;
    this.#writableEnd = -1;
    this.#lowWater = Infinity;
  }

  release(): void {
    this.stop();
    this.#bytes = new Uint8Array();
    this.#event.bytes = this.#bytes;
  }

  write(bytes: Uint8Array, blocking: boolean): number {
    const begin = this.#size;
    const { length } = bytes;
    const end = begin + length;
    if (end > this.#writableEnd || length === 0) this.#ensureCapacityToWrite(length, blocking);
    const marks = this.#marks;
    if (marks === null) {
      this.#bytes.set(bytes, begin);
    } else {
      marks.begin(end, length);
      this.#bytes.set(bytes, begin);
      marks.commit(end);
    }
    this.#advance(end);
    return length;
  }

  append(reserve: number, fill: AppendFunc, blocking: boolean): number {
    if (typeof fill !== "function") {
      throw new ErrAppendFuncNil("Cannot append: the append function is missing");
    }
    if (!Number.isSafeInteger(reserve) || reserve < 0) {
      throw new UsageError(`Cannot reserve ${reserve} bytes: give a whole number from 0 on`);
    }
    const begin = this.#size;
    const limit = begin + reserve;
    if (limit > this.#writableEnd) this.#ensureCapacity(reserve, blocking);
    const marks = reserve === 0 ? null : this.#marks;
    const event = this.#event;
    // Nothing else may be written while the function runs.
    this.#writableEnd = -1;
    this.#isAppending = true;
    let used = 0;
    try {
      if (marks !== null) marks.begin(limit, reserve);
      event.reset(begin, limit);
      used = clamp(fill(event), reserve);
      if (marks !== null && used === reserve) marks.commit(limit);
      else if (marks !== null && used > 0) marks.shorten(limit, begin + used);
    } finally {
      this.#isAppending = false;
      if (marks !== null && used < reserve) {
        marks.rollBack(begin + used, limit, this.#region.fileSize, this.#storeAtOnce);
      }
      if (this.#isOpen) this.#writableEnd = this.#region.fileSize - this.markSize;
    }
    if (used > 0) this.#advance(begin + used);
    return used;
  }

  /** All bytes up to `size` are stored: publish that, and wake the tailers. */
  #advance(size: number): void {
    const stats = this.fileStats;
    stats.writes++;
    stats.writtenBytes += size - this.#size;
    this.#size = size;
    if (this.#published !== null) this.#published.store(size);
    if (size > this.#lowWater) this.#tellLowCapacity(size);
    if (this.#subscriptions.size !== 0) this.#subscriptions.wake();
  }

  #ensureCapacityToWrite(length: number, blocking: boolean): void {
    this.throwIfRefused("write to");
    if (length === 0) throw new ErrShortBuffer(`Cannot write no bytes to ${this.#parts.path}`);
    this.#ensureCapacity(length, blocking);
  }

  /** Make `length` bytes fit, or throw whatever forbids the write. */
  #ensureCapacity(length: number, blocking: boolean): void {
    this.throwIfRefused("write to");
    const { path } = this.#parts;
    const needed = this.#size + length + this.markSize;
    if (needed > this.#geometry.sizeUpper) {
      throw new ErrEndOfFile(
        `Cannot write ${length} bytes at ${this.#size} of ${path}: ` +
          `with the mark they pass the upper size ${this.#geometry.sizeUpper}`,
      );
    }
    if (needed <= this.#region.fileSize) return;
    if (!blocking || this.#isExtending) {
      this.fileStats.wouldBlocks++;
      if (!this.#isExtending) this.#tellLowCapacity(needed);
      throw new ErrWouldBlock(
        `Writing ${length} bytes at ${this.#size} of ${path} would wait for its extension`,
      );
    }
    this.#extend(this.#geometry.next(needed));
    this.fileStats.extensions++;
  }

  /** See `Aof.extend`. */
  extend(size: number): void {
    const { path } = this.#parts;
    this.throwIfAppending("extend");
    if (size < this.#size + this.markSize) {
      throw new ErrShrink(
        `Cannot make ${path} ${size} bytes long: it holds ${this.#size} bytes and their mark`,
      );
    }
    this.#life.throwIfNotWritable("extend");
    if (size > this.#geometry.sizeUpper) {
      throw new ErrEndOfFile(
        `Cannot make ${path} ${size} bytes long: its upper size is ${this.#geometry.sizeUpper}`,
      );
    }
    const wanted = roundUp(size, this.#geometry.pageSize);
    if (wanted <= this.#region.fileSize || this.#isExtending) return;
    this.#extend(wanted);
    this.fileStats.extensionsAhead++;
  }

  /** See `Aof.onLowCapacity`. */
  onLowCapacity(headroom: number, lowCapacity: ((neededBytes: number) => void) | null): void {
    this.#headroom = headroom;
    this.#lowCapacity = lowCapacity;
    if (this.#isOpen) this.#setWritableEnd();
    if (this.#size > this.#lowWater) this.#tellLowCapacity(this.#size);
  }

  throwIfRefused(what: string): void {
    this.throwIfAppending(what);
    this.#life.throwIfNotWritable(what);
  }

  throwIfAppending(what: string): void {
    if (this.#isAppending) {
      throw new UsageError(`Cannot ${what} ${this.#parts.path} inside an append function`);
    }
  }

  #extend(size: number): void {
    const { storage } = this.#parts;
    this.#isExtending = true;
    try {
      storage?.reach("aof.extend.before");
      this.#region.extend(size);
      storage?.reach("aof.extend.after");
    } finally {
      this.#isExtending = false;
    }
    this.#setWritableEnd();
  }

  #setWritableEnd(): void {
    const { fileSize } = this.#region;
    this.#writableEnd = fileSize - this.markSize;
    assert(this.#size <= this.#writableEnd, "There is a file under the data and its mark");
    const tells = this.#lowCapacity !== null && fileSize < this.#geometry.sizeUpper;
    this.#lowWater = tells ? this.#writableEnd - this.#headroom : Infinity;
  }

  #tellLowCapacity(neededBytes: number): void {
    this.#lowWater = Infinity;
    this.#lowCapacity?.(neededBytes);
  }
}

function clamp(used: number, reserve: number): number {
  if (!(used > 0)) return 0;
  return Math.min(Math.trunc(used), reserve);
}

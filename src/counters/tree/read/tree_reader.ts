/**
 * The reading side of a keyspace file: one snapshot at a time, in any process, without a lock.
 *
 * A snapshot is whole until the second transaction after it is published. After that its pages may be
 * written again. The first such page ends the snapshot with `SnapshotLostError`: take a new one with
 * `refresh` and ask again.
 *
 * Invariants: 1. an answer comes from the pages of one snapshot only; 2. a page is accepted only if its
 * number, birth and checksum fit what its parent says.
 */

import { joinInt64 } from "../../../base/int64.ts";
import { BusyError, CorruptError } from "../../../base/errors.ts";
import type { StoredFile } from "../../../file/mod.ts";
import {
  branchBirth,
  branchChild,
  branchRowsBefore,
  findChild,
  findChildByOffset,
  RANK_SEPARATOR_COUNT_BYTES,
  SEPARATOR_BYTES_MAX,
  setRankSeparatorCount,
} from "../pages/branch.ts";
import { REUSE_AFTER_COMMITS } from "../write/allocator.ts";
import { findInKeyLeaf, keyLeafHigh, keyLeafLow } from "../pages/key_leaf.ts";
import { type Meta, metaBuffer, readMetaBlocks } from "../pages/meta.ts";
import {
  KEY_BYTES_MAX,
  PAGE_KIND_KEY_BRANCH,
  PAGE_KIND_KEY_LEAF,
  PAGE_KIND_RANK_BRANCH,
  PAGE_KIND_RANK_LEAF,
  type PageFrame,
} from "../pages/page.ts";
import { PageCache } from "../pages/page_cache.ts";
import {
  lowerBoundInRankLeaf,
  RANK_ROW_BYTES_MAX,
  rankLeafRow,
  rankRowIs,
  rankRowStart,
} from "../pages/rank_leaf.ts";
import { loadGenerations } from "./snapshot.ts";

/** The current snapshot was overwritten: refresh and ask again. */
export class SnapshotLostError extends BusyError {
  override readonly name = "SnapshotLostError";
}

/** Rows in wire form: value (int64 LE), key length (u16 LE), key. */
export interface RowRun {
  readonly rows: number;
  readonly bytes: Uint8Array;
}

const CACHE_BYTES = 64 * 1024 * 1024;

export class TreeReader {
  /** The halves of the count that `find` found last. */
  foundHigh = 0;
  foundLow = 0;
  /** Bytes of the rows that `copyRows` copied last. */
  copiedBytes = 0;

  readonly #file: StoredFile;
  readonly #cache: PageCache;
  readonly #metaBytes: Uint8Array;
  #meta: Meta;
  #generations: BigUint64Array;
  /** A refresh failed before the applied generations were read. */
  #isPartial = false;
  /** Buffer for a rank separator: the inverted count, then the key of the question. */
  readonly #probe = new DataView(new ArrayBuffer(SEPARATOR_BYTES_MAX));
  #rowBuffer = new Uint8Array(16 * 1024);
  /** Where a descent ended: the rows before the leaf, and the row inside it. */
  #before = 0;
  #row = 0;
  /** The branch above the leaf that was reached by offset, and the leaf's place in it. */
  #parent: PageFrame | null = null;
  #parentNumber = 0;
  #parentIndex = 0;

  /** Takes the newest snapshot of an open file. Throws `CorruptError`, `NewerFormatError`, `OldFormatError`. */
  constructor(
    file: StoredFile,
    { cacheBytes = CACHE_BYTES }: { readonly cacheBytes?: number } = {},
  ) {
    this.#file = file;
    this.#meta = readMetaBlocks(file).newest;
    this.#metaBytes = metaBuffer(this.#meta);
    this.#cache = new PageCache(file, {
      pageSize: this.#meta.pageSize,
      bytesMax: cacheBytes,
      refuse: (number, problem) => this.#refuse(number, problem),
    });
    this.#generations = new BigUint64Array(0);
    this.#loadGenerations();
  }

  get name(): Uint8Array {
    return this.#meta.name;
  }

  get transaction(): number {
    return this.#meta.transaction;
  }

  get pageSize(): number {
    return this.#meta.pageSize;
  }

  /** Counters in the snapshot. */
  get total(): number {
    return this.#meta.keyRoot.rows;
  }

  get saturated(): bigint {
    return this.#meta.saturated;
  }

  /** The sum of all counters in the snapshot. */
  get sum(): bigint {
    return this.#meta.sum;
  }

  /** The number of pages that were asked for since the beginning. */
  get pagesTouched(): number {
    return this.#cache.touched;
  }

  /** How many of them were read from the file. */
  get pagesRead(): number {
    return this.#cache.read;
  }

  /** The applied generation of a log slot: the greatest that is in the counters; 0 if none is. */
  applied(slot: number): bigint {
    return this.#generations[slot] ?? 0n;
  }

  /** The applied generation of every log slot that has one, in order. */
  *appliedGenerations(): Generator<[slot: number, generation: bigint]> {
    for (const [slot, generation] of this.#generations.entries()) {
      if (generation > 0n) yield [slot, generation];
    }
  }

  /** Takes the newest snapshot; false if it is the current one. Throws as the constructor. */
  refresh(): boolean {
    // A block may be read while it is being written. Then an older one is valid, which is good enough.
    const { newest } = readMetaBlocks(this.#file, this.#metaBytes);
    if (newest.transaction <= this.#meta.transaction && !this.#isPartial) return false;
    if (newest.pageSize !== this.#meta.pageSize) {
      throw new CorruptError(`The page size of ${this.#file.path} has changed`, {
        path: this.#file.path,
        offset: 0,
      });
    }
    this.#meta = newest;
    this.#isPartial = true;
    this.#loadGenerations();
    this.#isPartial = false;
    return true;
  }

  /** The count of a key, or null if the counter does not exist. */
  get(key: Uint8Array): bigint | null {
    return this.find(viewOf(key), 0, key.length) ? joinInt64(this.foundHigh, this.foundLow) : null;
  }

  /** The 0-based rank of a key, or −1 if the counter does not exist. */
  rankOf(key: Uint8Array): number {
    return this.rank(viewOf(key), 0, key.length);
  }

  /** Looks a key up; its count is then in `foundHigh` and `foundLow`. Allocates nothing. */
  find(key: DataView, start: number, end: number): boolean {
    const { keyRoot } = this.#meta;
    if (keyRoot.rows === 0 || end - start > KEY_BYTES_MAX) return false;
    let { number, birth, level } = keyRoot;
    while (level > 0) {
      const branch = this.#cache.page(number, birth, PAGE_KIND_KEY_BRANCH, level).view;
      const index = findChild(branch, key, start, end);
      number = branchChild(branch, index);
      birth = branchBirth(branch, index);
      level--;
    }
    const leaf = this.#cache.page(number, birth, PAGE_KIND_KEY_LEAF, 0).view;
    const row = findInKeyLeaf(leaf, key, start, end);
    if (row < 0) return false;
    this.foundHigh = keyLeafHigh(leaf, row);
    this.foundLow = keyLeafLow(leaf, row);
    return true;
  }

  /** As `rankOf`; the count is then in `foundHigh` and `foundLow`. Allocates nothing. */
  rank(key: DataView, start: number, end: number): number {
    if (!this.find(key, start, end)) return -1;
    const { foundHigh, foundLow } = this;
    const leaf = this.#descendToRank(foundHigh, foundLow, key, start, end);
    const { view } = leaf;
    const row = this.#row;
    const there = row < leaf.rows &&
      rankRowIs(view, rankRowStart(view, row), foundHigh, foundLow, key, start, end);
    if (!there) this.#refuse(leaf.number, "a counter of the key order is missing");
    return this.#before + row;
  }

  /**
   * How many counters are before the one with this count and key, whether or not it exists itself. `high`
   * and `low` are the halves of the count, the high one signed.
   */
  rowsBefore(high: number, low: number, key: DataView, start: number, end: number): number {
    if (this.#meta.rankRoot.rows === 0) return 0;
    this.#descendToRank(high, low, key, start, end);
    return this.#before + this.#row;
  }

  /** The counter at a 0-based rank, or null past the end. */
  at(offset: number): { readonly key: Uint8Array; readonly count: bigint } | null {
    if (!this.#isRank(offset)) return null;
    const leaf = this.#descendToOffset(offset);
    return rankLeafRow(leaf, this.#row);
  }

  /** Up to `length` rows from a 0-based rank on. The bytes are a copy. */
  page(offset: number, length: number): RowRun {
    const wanted = Math.min(length, Math.max(0, this.total - offset));
    const parts: Uint8Array[] = [];
    let rows = 0;
    let size = 0;
    while (rows < wanted) {
      const target = this.#rowBuffer;
      const copied = this.copyRows(offset + rows, wanted - rows, target, 0);
      if (copied === 0) break;
      rows += copied;
      size += this.copiedBytes;
      parts.push(target.slice(0, this.copiedBytes));
    }
    if (parts.length === 1) return { rows, bytes: parts[0]! };
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return { rows, bytes };
  }

  /**
   * Copies up to `length` rows from a 0-based rank on to `into[start …]`, whole rows only; returns their
   * number, and their size in `copiedBytes`. Fewer than asked for if the target is full or the keyspace
   * ends. A target of `RANK_ROW_BYTES_MAX` takes at least one row.
   */
  copyRows(offset: number, length: number, into: Uint8Array, start: number): number {
    this.copiedBytes = 0;
    let at = start;
    let rows = 0;
    let leaf: PageFrame | null = null;
    while (rows < length && this.#isRank(offset + rows)) {
      leaf = (leaf === null ? null : this.#nextLeaf()) ?? this.#descendToOffset(offset + rows);
      const { view } = leaf;
      const first = this.#row;
      const from = rankRowStart(view, first);
      let last = Math.min(leaf.rows, first + length - rows);
      let to = rankRowStart(view, last);
      let full = false;
      while (to - from > into.length - at) {
        last--;
        to = rankRowStart(view, last);
        full = true;
      }
      into.set(leaf.bytes.subarray(from, to), at);
      at += to - from;
      rows += last - first;
      if (full) break;
    }
    this.copiedBytes = at - start;
    return rows;
  }

  #isRank(offset: number): boolean {
    return Number.isSafeInteger(offset) && offset >= 0 && offset < this.#meta.rankRoot.rows;
  }

  /** The leaf where (count, key) is or would be; `#before` and `#row` say where. */
  #descendToRank(
    high: number,
    low: number,
    key: DataView,
    start: number,
    end: number,
  ): PageFrame {
    const probe = this.#probe;
    let probeEnd = RANK_SEPARATOR_COUNT_BYTES;
    setRankSeparatorCount(probe, 0, high, low);
    for (let at = start; at < end; at++) probe.setUint8(probeEnd++, key.getUint8(at));
    let { number, birth, level } = this.#meta.rankRoot;
    let before = 0;
    while (level > 0) {
      const branch = this.#cache.page(number, birth, PAGE_KIND_RANK_BRANCH, level).view;
      const index = findChild(branch, probe, 0, probeEnd);
      before += branchRowsBefore(branch, index);
      number = branchChild(branch, index);
      birth = branchBirth(branch, index);
      level--;
    }
    const leaf = this.#cache.page(number, birth, PAGE_KIND_RANK_LEAF, 0);
    this.#before = before;
    this.#row = lowerBoundInRankLeaf(leaf.view, high, low, key, start, end);
    return leaf;
  }

  /** The leaf behind the one that was reached by offset, or null if they have different parents. */
  #nextLeaf(): PageFrame | null {
    const parent = this.#parent;
    // The cache may have given the parent's frame to another page since.
    if (parent === null || parent.number !== this.#parentNumber) return null;
    const index = this.#parentIndex + 1;
    if (index >= parent.rows) return null;
    const { view } = parent;
    const birth = branchBirth(view, index);
    this.#parentIndex = index;
    this.#row = 0;
    return this.#cache.page(branchChild(view, index), birth, PAGE_KIND_RANK_LEAF, 0);
  }

  /** The leaf with the row at `offset`; `#row` is its index there. */
  #descendToOffset(offset: number): PageFrame {
    let { number, birth, level } = this.#meta.rankRoot;
    let rest = offset;
    this.#parent = null;
    while (level > 0) {
      const frame = this.#cache.page(number, birth, PAGE_KIND_RANK_BRANCH, level);
      const branch = frame.view;
      const index = findChildByOffset(branch, rest);
      if (level === 1) {
        this.#parent = frame;
        this.#parentNumber = number;
        this.#parentIndex = index;
      }
      rest -= branchRowsBefore(branch, index);
      number = branchChild(branch, index);
      birth = branchBirth(branch, index);
      level--;
    }
    const leaf = this.#cache.page(number, birth, PAGE_KIND_RANK_LEAF, 0);
    if (rest >= leaf.rows) this.#refuse(number, "fewer rows than the branch says");
    this.#row = rest;
    return leaf;
  }

  #loadGenerations(): void {
    this.#cache.pageCount = this.#meta.pageCount;
    const { firstGenerations, generationSlots } = this.#meta;
    this.#generations = generationSlots === firstGenerations.length
      ? firstGenerations
      : loadGenerations(this.#meta, this.#cache, this.#file.path);
  }

  /**
   * Throws for a page that is not the one that is meant. The meta blocks tell whether it was written again
   * or is damaged.
   */
  #refuse(number: number, problem: string): never {
    const { path } = this.#file;
    const offset = number * this.#meta.pageSize;
    const { newest } = readMetaBlocks(this.#file);
    if (newest.transaction >= this.#meta.transaction + REUSE_AFTER_COMMITS) {
      throw new SnapshotLostError(
        `Snapshot ${this.#meta.transaction} of ${path} is gone: page ${number} was written again`,
      );
    }
    throw new CorruptError(`Damaged page ${number} at byte ${offset} of ${path}: ${problem}`, {
      path,
      offset,
    });
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Size of a target for `copyRows` that takes at least one row. */
export const COPY_BYTES_MIN = RANK_ROW_BYTES_MAX;

/**
 * The ranking of a keyspace with what is not folded yet: the base ranking of the file, the keys that
 * the logs change taken out of it, and the same keys put in again where their new values belong.
 *
 * Pure over a `BaseRanking` and sums. With C changed keys and n counters a page costs O(log C · log n)
 * and its rows; what a refresh brings costs a lookup in the base for each key that is new among the
 * changed, and a merge of the changed ones into their order.
 *
 * Invariants:
 * 1. `#byNew` holds every changed key, in rank order of the new values; `#byOld` those that the base has,
 *    in rank order of the old ones. Order: value descending, then key bytes ascending.
 * 2. A new value is base + sum, held at the limits of int64. A key whose sum is 0 is there all the same.
 */

import { assert } from "../base/assert.ts";
import {
  NAME_SIZE_MAX,
  ROW_KEY_LENGTH_OFFSET,
  ROW_KEY_OFFSET,
  ROW_VALUE_OFFSET,
} from "../wire/mod.ts";
import { KeySums } from "./key_sums.ts";
import { compareBytes, compareRank } from "../keyspace/mod.ts";
import type { RowBuffer } from "./row_buffer.ts";

/** A snapshot of a keyspace's file. Counts are given in two halves, the high one signed. */
export interface BaseRanking {
  readonly total: number;
  /** Looks a key up: true where it is there, its count then in `foundHigh` and `foundLow`. */
  find(key: DataView, start: number, end: number): boolean;
  readonly foundHigh: number;
  readonly foundLow: number;
  /** How many counters stand before this one in rank order, whether it is there or not. */
  rowsBefore(high: number, low: number, key: DataView, start: number, end: number): number;
  /** Appends rows `offset … offset + length` in wire form; there are as many. */
  copyRows(offset: number, length: number, out: RowBuffer): void;
}

/** Rows of the base that are read ahead at a time while changed keys are merged in. */
const BLOCK_ROWS_MIN = 32;

export class Overlay {
  readonly #base: BaseRanking;
  readonly #block: RowBuffer;
  readonly sums = new KeySums();

  // By number of the key in `sums`.
  #baseHigh = new Int32Array(0);
  #baseLow = new Int32Array(0);
  #newHigh = new Int32Array(0);
  #newLow = new Int32Array(0);
  #hasBase = new Uint8Array(0);
  #isTouched = new Uint8Array(0);

  /** Keys below this number were looked up in the base. */
  #lookedUp = 0;
  #keysNotInBase = 0;
  #touched: number[] = [];
  #byNew = new Uint32Array(0);
  #byOld = new Uint32Array(0);
  /** A key that is looked up, NUL padded to words. */
  readonly #keyWords = new Int32Array(NAME_SIZE_MAX / 4 + 1);
  readonly #keyBytes = new Uint8Array(this.#keyWords.buffer);

  /** `block` is scratch memory. */
  constructor(base: BaseRanking, block: RowBuffer) {
    this.#base = base;
    this.#block = block;
  }

  /** Adds an increment (or a sum of three words) to the key at `words[at]`, NUL padded. */
  add(
    words: Int32Array,
    at: number,
    length: number,
    low: number,
    high: number,
    top: number,
  ): void {
    const index = this.sums.add(words, at, length, low, high, top);
    if (index >= this.#isTouched.length) this.#isTouched = larger8(this.#isTouched, index + 1);
    if (this.#isTouched[index] !== 0) return;
    this.#isTouched[index] = 1;
    this.#touched.push(index);
  }

  /** Adds every sum of a table. */
  addAll(sums: KeySums): void {
    const { words, count } = sums;
    for (let index = 0; index < count; index++) {
      const at = sums.keyStart[index]! >>> 2;
      const { low, high, top, keyLength } = sums;
      this.add(words, at, keyLength[index]!, low[index]!, high[index]!, top[index]!);
    }
  }

  /** Counters in all. */
  total(): number {
    this.#lookUp();
    return this.#base.total + this.#keysNotInBase;
  }

  /** Looks a key up: true where it is there, its count then in `foundHigh` and `foundLow`. */
  find(key: DataView, start: number, end: number): boolean {
    const index = this.sums.count === 0 ? -1 : this.#indexOf(key, start, end);
    if (index < 0) {
      if (!this.#base.find(key, start, end)) return false;
      this.foundHigh = this.#base.foundHigh;
      this.foundLow = this.#base.foundLow;
      return true;
    }
    this.#lookUp();
    this.#setNewValue(index);
    this.foundHigh = this.#newHigh[index]!;
    this.foundLow = this.#newLow[index]!;
    return true;
  }

  foundHigh = 0;
  foundLow = 0;

  /** Place from 0 of a counter that `find` has found. */
  rankOfFound(key: DataView, start: number, end: number): number {
    this.#settle();
    return this.#rowsBefore(this.foundHigh, this.foundLow, key, start, end);
  }

  /** Appends rows `offset … offset + length`, fewer at the end; returns how many. */
  copyRows(offset: number, length: number, out: RowBuffer): number {
    const rows = Math.max(0, Math.min(length, this.total() - offset));
    if (rows === 0) return 0;
    if (this.sums.count === 0) this.#base.copyRows(offset, rows, out);
    else this.#mergeRows(offset, rows, out);
    return rows;
  }

  #mergeRows(offset: number, rows: number, out: RowBuffer): void {
    this.#settle();
    const keys = this.sums.keys;
    const merge = this.#startAt(offset);
    let { next, removed } = merge;
    const block = this.#block;
    let blockOffset = merge.baseOffset;
    let blockRows = 0;
    let row = 0;
    let at = 0;
    for (let left = rows; left > 0;) {
      if (row === blockRows) {
        blockOffset += blockRows;
        const wanted = Math.max(left, BLOCK_ROWS_MIN);
        blockRows = Math.min(wanted, this.#base.total - blockOffset);
        block.reset();
        if (blockRows > 0) this.#base.copyRows(blockOffset, blockRows, block);
        row = 0;
        at = 0;
      }
      const { view } = block;
      const hasRow = row < blockRows;
      const keyStart = at + ROW_KEY_OFFSET;
      const keyEnd = hasRow ? keyStart + view.getUint16(at + ROW_KEY_LENGTH_OFFSET, true) : 0;
      if (hasRow && removed < this.#byOld.length) {
        const index = this.#byOld[removed]!;
        const keyAt = this.sums.keyStart[index]!;
        if (compareBytes(view, keyStart, keyEnd, keys, keyAt, this.sums.keyEnd(index)) === 0) {
          removed++;
          row++;
          at = keyEnd;
          continue;
        }
      }
      left--;
      if (next < this.#byNew.length) {
        const index = this.#byNew[next]!;
        if (
          !hasRow ||
          this.#compareNew(index, rowHigh(view, at), rowLow(view, at), view, keyStart, keyEnd) < 0
        ) {
          const keyAt = this.sums.keyStart[index]!;
          out.row(
            this.#newHigh[index]!,
            this.#newLow[index]!,
            keys,
            keyAt,
            this.sums.keyEnd(index),
          );
          next++;
          continue;
        }
      }
      assert(hasRow, "The total counts no row that is not there");
      out.append(block.bytes.subarray(at, keyEnd));
      row++;
      at = keyEnd;
    }
  }

  /**
   * Where a merge that begins with row `offset` of the result stands: the next changed key, how many
   * rows were taken out of the base before, and the next row of the base.
   */
  #startAt(offset: number): { next: number; removed: number; baseOffset: number } {
    const { keyStart } = this.sums;
    let low = 0;
    let high = this.#byNew.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const index = this.#byNew[middle]!;
      const place = this.#rowsBefore(
        this.#newHigh[index]!,
        this.#newLow[index]!,
        this.sums.keys,
        keyStart[index]!,
        this.sums.keyEnd(index),
      );
      if (place < offset) low = middle + 1;
      else high = middle;
    }
    const next = low;
    // Rows of the base that stay, before the offset; and then the removed ones among them.
    const kept = offset - next;
    low = 0;
    high = this.#byOld.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const index = this.#byOld[middle]!;
      const baseRank = this.#base.rowsBefore(
        this.#baseHigh[index]!,
        this.#baseLow[index]!,
        this.sums.keys,
        keyStart[index]!,
        this.sums.keyEnd(index),
      );
      if (baseRank - middle <= kept) low = middle + 1;
      else high = middle;
    }
    return { next, removed: low, baseOffset: kept + low };
  }

  /** Counters of the result that stand before (value, key). */
  #rowsBefore(high: number, low: number, key: DataView, start: number, end: number): number {
    const inBase = this.#base.rowsBefore(high, low, key, start, end);
    if (this.sums.count === 0) return inBase;
    const removed = lowerBound(
      this.#byOld,
      (index) => this.#compareOld(index, high, low, key, start, end),
    );
    const added = lowerBound(
      this.#byNew,
      (index) => this.#compareNew(index, high, low, key, start, end),
    );
    return inBase - removed + added;
  }

  /** Number of a changed key, or −1. */
  #indexOf(key: DataView, start: number, end: number): number {
    const length = end - start;
    if (length > NAME_SIZE_MAX) return -1;
    const words = this.#keyWords;
    words[length >>> 2] = 0;
    const bytes = this.#keyBytes;
    for (let at = 0; at < length; at++) bytes[at] = key.getUint8(start + at);
    return this.sums.find(words, 0, length);
  }

  /** Finds in the base what was added since the last time. */
  #lookUp(): void {
    const { sums } = this;
    if (this.#lookedUp === sums.count) return;
    if (this.#newHigh.length < sums.count) this.#grow(sums.count);
    for (let index = this.#lookedUp; index < sums.count; index++) {
      const isThere = this.#base.find(sums.keys, sums.keyStart[index]!, sums.keyEnd(index));
      this.#hasBase[index] = isThere ? 1 : 0;
      if (isThere) {
        this.#baseHigh[index] = this.#base.foundHigh;
        this.#baseLow[index] = this.#base.foundLow;
      } else {
        this.#keysNotInBase++;
      }
    }
    const found = numbersFrom(this.#lookedUp, sums.count).filter((index) => this.#hasBase[index]);
    this.#lookedUp = sums.count;
    found.sort((left, right) => this.#compareTwo(left, right, this.#baseHigh, this.#baseLow));
    this.#byOld = this.#merge(this.#byOld, found, this.#baseHigh, this.#baseLow);
  }

  /** Brings the order of the new values up to date. */
  #settle(): void {
    this.#lookUp();
    if (this.#touched.length === 0) return;
    const touched = Uint32Array.from(this.#touched);
    const stayed = this.#byNew.filter((index) => this.#isTouched[index] === 0);
    for (const index of touched) this.#setNewValue(index);
    for (const index of touched) this.#isTouched[index] = 0;
    this.#touched = [];
    touched.sort((left, right) => this.#compareTwo(left, right, this.#newHigh, this.#newLow));
    this.#byNew = this.#merge(stayed, touched, this.#newHigh, this.#newLow);
    assert(this.#byNew.length === this.sums.count, "Every changed key has its place");
  }

  /** base + sum in 96 bits, held at the limits of int64. */
  #setNewValue(index: number): void {
    const { sums } = this;
    const hasBase = this.#hasBase[index] !== 0;
    const baseLow = hasBase ? this.#baseLow[index]! : 0;
    const baseHigh = hasBase ? this.#baseHigh[index]! : 0;
    const lowSum = (sums.low[index]! >>> 0) + (baseLow >>> 0);
    const highSum = (sums.high[index]! >>> 0) + (baseHigh >>> 0) + (lowSum > 0xffffffff ? 1 : 0);
    const top = (sums.top[index]! + (baseHigh >> 31) + (highSum > 0xffffffff ? 1 : 0)) | 0;
    const high = highSum | 0;
    const fits = top === high >> 31;
    this.#newHigh[index] = fits ? high : top < 0 ? -0x80000000 : 0x7fffffff;
    this.#newLow[index] = fits ? lowSum | 0 : top < 0 ? 0 : -1;
  }

  #merge(
    left: Uint32Array,
    right: Uint32Array,
    high: Int32Array,
    low: Int32Array,
  ): Uint32Array<ArrayBuffer> {
    if (left.length === 0) return Uint32Array.from(right);
    const merged = new Uint32Array(left.length + right.length);
    let fromLeft = 0;
    let fromRight = 0;
    for (let at = 0; at < merged.length; at++) {
      const takeLeft = fromRight === right.length || fromLeft < left.length &&
          this.#compareTwo(left[fromLeft]!, right[fromRight]!, high, low) < 0;
      merged[at] = takeLeft ? left[fromLeft++]! : right[fromRight++]!;
    }
    return merged;
  }

  #compareTwo(left: number, right: number, high: Int32Array, low: Int32Array): number {
    const order = compareRank(high[left]!, low[left]!, high[right]!, low[right]!);
    if (order !== 0) return order;
    const { keys, keyStart } = this.sums;
    return compareBytes(
      keys,
      keyStart[left]!,
      this.sums.keyEnd(left),
      keys,
      keyStart[right]!,
      this.sums.keyEnd(right),
    );
  }

  #compareNew(
    index: number,
    high: number,
    low: number,
    key: DataView,
    start: number,
    end: number,
  ): number {
    const order = compareRank(this.#newHigh[index]!, this.#newLow[index]!, high, low);
    return order !== 0 ? order : this.#compareKey(index, key, start, end);
  }

  #compareOld(
    index: number,
    high: number,
    low: number,
    key: DataView,
    start: number,
    end: number,
  ): number {
    const order = compareRank(this.#baseHigh[index]!, this.#baseLow[index]!, high, low);
    return order !== 0 ? order : this.#compareKey(index, key, start, end);
  }

  #compareKey(index: number, key: DataView, start: number, end: number): number {
    const { sums } = this;
    return compareBytes(sums.keys, sums.keyStart[index]!, sums.keyEnd(index), key, start, end);
  }

  #grow(count: number): void {
    const length = Math.max(32, 2 * count);
    this.#baseHigh = larger32(this.#baseHigh, length);
    this.#baseLow = larger32(this.#baseLow, length);
    this.#newHigh = larger32(this.#newHigh, length);
    this.#newLow = larger32(this.#newLow, length);
    this.#hasBase = larger8(this.#hasBase, length);
  }
}

/** How many come before the place that `compare` (below 0: stands before it) looks for. */
function lowerBound(order: Uint32Array, compare: (index: number) => number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(order[middle]!) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function rowHigh(view: DataView, at: number): number {
  return view.getInt32(at + ROW_VALUE_OFFSET + 4, true);
}

function rowLow(view: DataView, at: number): number {
  return view.getInt32(at + ROW_VALUE_OFFSET, true);
}

function numbersFrom(start: number, end: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: end - start }, (_, index) => start + index);
}

function larger32(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length);
  to.set(from);
  return to;
}

function larger8(from: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(Math.max(32, 2 * length));
  to.set(from);
  return to;
}

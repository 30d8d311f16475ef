/**
 * The ranking of a keyspace with what is not folded yet. The keys that the logs change are taken out of the
 * base ranking of the file, and put in again where their new values belong.
 *
 * It knows a `BaseRanking` and sums, no file and no log. With C changed keys and n counters a page costs
 * O(log C · log n) and its rows. After a refresh, each new changed key costs a lookup in the base, and the
 * changed keys are merged into their order.
 */

import { assert } from "../../../base/assert.ts";
import {
  NAME_SIZE_MAX,
  ROW_KEY_LENGTH_OFFSET,
  ROW_KEY_OFFSET,
  ROW_VALUE_OFFSET,
} from "../../wire/mod.ts";
import type { BaseRanking } from "./base_ranking.ts";
import { ChangedKeys } from "./changed_keys.ts";
import type { KeySums } from "./key_sums.ts";
import type { RowBuffer } from "./row_buffer.ts";

/** Rows of the base that are read at a time, at least, while changed keys are merged in. */
const BLOCK_ROWS_MIN = 32;

/** Rows of a page that are not copied yet. */
export interface RowsLeft {
  left: number;
  /** The next changed key, how many changed rows of the base come before, and the next row of the base. */
  next: number;
  removed: number;
  baseOffset: number;
}

export class Overlay {
  readonly #base: BaseRanking;
  readonly #block: RowBuffer;
  readonly #changed: ChangedKeys;
  /** The key that is looked up, NUL padded to words. */
  readonly #keyWords = new Int32Array(NAME_SIZE_MAX / 4 + 1);
  readonly #keyBytes = new Uint8Array(this.#keyWords.buffer);

  /** The count that `find` found last, in two halves. */
  foundHigh = 0;
  foundLow = 0;

  /** `block` is scratch memory. */
  constructor(base: BaseRanking, block: RowBuffer) {
    this.#base = base;
    this.#block = block;
    this.#changed = new ChangedKeys(base);
  }

  /** Sums of the changed keys. Callers only read them, and get numbers for keys. */
  get sums(): KeySums {
    return this.#changed.sums;
  }

  /** Adds an increment (or a sum of three words) to the key at `words[at]`, NUL padded. */
  add(
    words: Int32Array,
    at: number,
    length: number,
    top: number,
    high: number,
    low: number,
  ): void {
    this.increase(this.sums.numberOf(words, at, length), top, high, low);
  }

  /** Adds to a key by its number in `sums`, for a caller that knows it. */
  increase(index: number, top: number, high: number, low: number): void {
    this.#changed.increase(index, top, high, low);
  }

  /** Adds the sums of a table, of the keys with the numbers from `from` to `to`. */
  addAll(sums: KeySums, from: number, to: number): void {
    const { words } = sums;
    const end = Math.min(to, sums.count);
    for (let index = from; index < end; index++) {
      const at = sums.keyStart[index]! >>> 2;
      const { top, high, low, keyLength } = sums;
      this.add(words, at, keyLength[index]!, top[index]!, high[index]!, low[index]!);
    }
  }

  /** Does a part of what `total` would do first, about a millisecond; true if nothing of it is left. */
  lookUpSome(): boolean {
    return this.#changed.lookUpSome();
  }

  /** Does a part of what questions would do first, about a millisecond; true if nothing of it is left. */
  prepareSome(): boolean {
    return this.#changed.step();
  }

  /** True between two parts: then nothing may be added. */
  get isPreparing(): boolean {
    return this.#changed.isOrdering;
  }

  /** Counters in all. */
  total(): number {
    this.#changed.lookUp();
    return this.#base.total + this.#changed.keysNotInBase;
  }

  /** Looks a key up: true if it exists; its count is then in `foundHigh` and `foundLow`. */
  find(key: DataView, start: number, end: number): boolean {
    const base = this.#base;
    const changed = this.#changed;
    const index = changed.count === 0 ? -1 : this.#indexOf(key, start, end);
    const isInBase = base.find(key, start, end);
    if (index < 0) {
      this.foundHigh = base.foundHigh;
      this.foundLow = base.foundLow;
      return isInBase;
    }
    changed.addTo(index, isInBase ? base.foundHigh : 0, isInBase ? base.foundLow : 0);
    this.foundHigh = changed.clampedHigh;
    this.foundLow = changed.clampedLow;
    return true;
  }

  /** Rank, from 0, of the counter that `find` found last. */
  rankOfFound(key: DataView, start: number, end: number): number {
    this.#changed.updateOrder();
    return this.#rowsBefore(this.foundHigh, this.foundLow, key, start, end);
  }

  /** Appends rows `offset … offset + length`, fewer at the end; returns how many. */
  copyRows(offset: number, length: number, out: RowBuffer): number {
    const rest = this.rowsFrom(offset, length);
    const { left } = rest;
    this.copySome(rest, left, out);
    return left;
  }

  /** Finds rows `offset … offset + length`, fewer at the end, for `copySome`. */
  rowsFrom(offset: number, length: number): RowsLeft {
    const left = Math.max(0, Math.min(length, this.total() - offset));
    if (left === 0 || this.#changed.count === 0) {
      return { left, next: 0, removed: 0, baseOffset: offset };
    }
    this.#changed.updateOrder();
    return { left, ...this.#startAt(offset) };
  }

  /** Appends the next rows, at most `rowsMax`. The overlay must be as it was when they were found. */
  copySome(rest: RowsLeft, rowsMax: number, out: RowBuffer): void {
    const rows = Math.min(rest.left, rowsMax);
    if (rows === 0) return;
    if (this.#changed.count > 0) return this.#mergeRows(rest, rows, out);
    this.#base.copyRows(rest.baseOffset, rows, out);
    rest.baseOffset += rows;
    rest.left -= rows;
  }

  #mergeRows(rest: RowsLeft, rows: number, out: RowBuffer): void {
    const changed = this.#changed;
    const keys = changed.sums.keys;
    let { next, removed } = rest;
    const block = this.#block;
    let blockOffset = rest.baseOffset;
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
      if (hasRow && removed < changed.byOld.length) {
        const index = changed.byOld[removed]!;
        if (changed.compareKey(index, view, keyStart, keyEnd) === 0) {
          removed++;
          row++;
          at = keyEnd;
          continue;
        }
      }
      left--;
      if (next < changed.byNew.length) {
        const index = changed.byNew[next]!;
        if (
          !hasRow ||
          changed.compareNew(index, rowHigh(view, at), rowLow(view, at), view, keyStart, keyEnd) < 0
        ) {
          const keyAt = changed.sums.keyStart[index]!;
          out.row(
            changed.newHigh(index),
            changed.newLow(index),
            keys,
            keyAt,
            changed.sums.keyEnd(index),
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
    rest.next = next;
    rest.removed = removed;
    rest.baseOffset = blockOffset + row;
    rest.left -= rows;
  }

  /** Where a merge begins with row `offset` of the result. */
  #startAt(offset: number): Omit<RowsLeft, "left"> {
    const changed = this.#changed;
    const { keys, keyStart } = changed.sums;
    let low = 0;
    let high = changed.byNew.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const index = changed.byNew[middle]!;
      const place = this.#rowsBefore(
        changed.newHigh(index),
        changed.newLow(index),
        keys,
        keyStart[index]!,
        changed.sums.keyEnd(index),
      );
      if (place < offset) low = middle + 1;
      else high = middle;
    }
    const next = low;
    // Unchanged rows of the base before the offset; then the changed ones among them.
    const kept = offset - next;
    low = 0;
    high = changed.byOld.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const index = changed.byOld[middle]!;
      const baseRank = this.#base.rowsBefore(
        changed.oldHigh(index),
        changed.oldLow(index),
        keys,
        keyStart[index]!,
        changed.sums.keyEnd(index),
      );
      if (baseRank - middle <= kept) low = middle + 1;
      else high = middle;
    }
    return { next, removed: low, baseOffset: kept + low };
  }

  /** How many counters of the result come before (value, key). */
  #rowsBefore(high: number, low: number, key: DataView, start: number, end: number): number {
    const inBase = this.#base.rowsBefore(high, low, key, start, end);
    if (this.#changed.count === 0) return inBase;
    return inBase - this.#changed.oldBefore(high, low, key, start, end) +
      this.#changed.newBefore(high, low, key, start, end);
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
}

function rowHigh(view: DataView, at: number): number {
  return view.getInt32(at + ROW_VALUE_OFFSET + 4, true);
}

function rowLow(view: DataView, at: number): number {
  return view.getInt32(at + ROW_VALUE_OFFSET, true);
}

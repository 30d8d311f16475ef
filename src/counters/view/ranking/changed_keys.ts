/**
 * The keys that the logs change, over a snapshot of the keyspace's file (the base): their sums, their old
 * values, their new values, and the order of each.
 *
 * Invariants:
 * 1. `byNew` (after `updateOrder`) holds every changed key, in rank order of the new values; `byOld` (after
 *    `lookUp`) those that the base has, in rank order of the old ones. Order: value descending, then
 *    key bytes ascending.
 * 2. A new value is base + sum, clamped to int64. A key whose sum is 0 exists all the same.
 */

import { assert } from "../../../base/assert.ts";
import { grown } from "../../../base/grown.ts";
import { carryOf, clampedHigh, clampedLow, compareDescending } from "../../../base/int64.ts";
import { compareBytes } from "../../keyspace/mod.ts";
import type { BaseRanking } from "./base_ranking.ts";
import { KeySums } from "./key_sums.ts";

export class ChangedKeys {
  readonly sums = new KeySums();
  /** Changed keys, of those that were looked up, that the base does not have. */
  keysNotInBase = 0;
  /** The last result of `addTo`, in two halves. */
  clampedHigh = 0;
  clampedLow = 0;
  byNew = new Uint32Array(0);
  byOld = new Uint32Array(0);

  readonly #base: BaseRanking;

  // By number of the key in `sums`.
  #baseHigh = new Int32Array(0);
  #baseLow = new Int32Array(0);
  #newHigh = new Int32Array(0);
  #newLow = new Int32Array(0);
  #hasBase = new Uint8Array(0);
  #isTouched = new Uint8Array(0);

  /** Keys below this number were looked up in the base. */
  #lookedUp = 0;
  #touched: number[] = [];

  constructor(base: BaseRanking) {
    this.#base = base;
  }

  get count(): number {
    return this.sums.count;
  }

  /** Adds to a key by its number in `sums`. */
  increase(index: number, top: number, high: number, low: number): void {
    this.sums.increase(index, top, high, low);
    if (index >= this.#isTouched.length) this.#isTouched = grown(this.#isTouched, 2 * index + 1);
    if (this.#isTouched[index] !== 0) return;
    this.#isTouched[index] = 1;
    this.#touched.push(index);
  }

  oldHigh(index: number): number {
    return this.#baseHigh[index]!;
  }

  oldLow(index: number): number {
    return this.#baseLow[index]!;
  }

  /** The new value of a key, after `updateOrder`. */
  newHigh(index: number): number {
    return this.#newHigh[index]!;
  }

  newLow(index: number): number {
    return this.#newLow[index]!;
  }

  /** Looks up in the base the keys that were added since the last call. */
  lookUp(): void {
    const { sums } = this;
    if (this.#lookedUp === sums.count) return;
    if (this.#newHigh.length < sums.count) this.#grow(sums.count);
    // Stored only after the loop, so that a call that throws can be repeated.
    let missing = 0;
    for (let index = this.#lookedUp; index < sums.count; index++) {
      const isThere = this.#base.find(sums.keys, sums.keyStart[index]!, sums.keyEnd(index));
      this.#hasBase[index] = isThere ? 1 : 0;
      if (isThere) {
        this.#baseHigh[index] = this.#base.foundHigh;
        this.#baseLow[index] = this.#base.foundLow;
      } else {
        missing++;
      }
    }
    const found = numbersFrom(this.#lookedUp, sums.count).filter((index) => this.#hasBase[index]);
    this.#lookedUp = sums.count;
    this.keysNotInBase += missing;
    found.sort((left, right) => this.#compareTwo(left, right, this.#baseHigh, this.#baseLow));
    this.byOld = this.#merge(this.byOld, found, this.#baseHigh, this.#baseLow);
  }

  /** Brings the order of the new values up to date. */
  updateOrder(): void {
    this.lookUp();
    if (this.#touched.length === 0) return;
    const touched = Uint32Array.from(this.#touched);
    const stayed = this.byNew.filter((index) => this.#isTouched[index] === 0);
    for (const index of touched) this.#setNewValue(index);
    for (const index of touched) this.#isTouched[index] = 0;
    this.#touched = [];
    touched.sort((left, right) => this.#compareTwo(left, right, this.#newHigh, this.#newLow));
    this.byNew = this.#merge(stayed, touched, this.#newHigh, this.#newLow);
    assert(this.byNew.length === this.sums.count, "Every changed key has its place");
  }

  #setNewValue(index: number): void {
    const hasBase = this.#hasBase[index] !== 0;
    const baseHigh = hasBase ? this.#baseHigh[index]! : 0;
    this.addTo(index, baseHigh, hasBase ? this.#baseLow[index]! : 0);
    this.#newHigh[index] = this.clampedHigh;
    this.#newLow[index] = this.clampedLow;
  }

  /** Adds base + sum in 96 bits, clamps it to int64, and stores it in `clampedHigh` and `clampedLow`. */
  addTo(index: number, baseHigh: number, baseLow: number): void {
    const { sums } = this;
    const sumHigh = sums.high[index]!;
    const sumLow = sums.low[index]!;
    const low = (sumLow + baseLow) | 0;
    const high = (sumHigh + baseHigh + carryOf(sumLow, baseLow, low)) | 0;
    const top = (sums.top[index]! + (baseHigh >> 31) + carryOf(sumHigh, baseHigh, high)) | 0;
    this.clampedHigh = clampedHigh(top, high);
    this.clampedLow = clampedLow(top, high, low);
  }

  /** How many changed keys, with their new values, come before (value, key). */
  newBefore(high: number, low: number, key: DataView, start: number, end: number): number {
    return lowerBound(this.byNew, (index) => this.compareNew(index, high, low, key, start, end));
  }

  /** How many changed keys that the base has, with their old values, come before (value, key). */
  oldBefore(high: number, low: number, key: DataView, start: number, end: number): number {
    return lowerBound(this.byOld, (index) => {
      const order = compareDescending(this.#baseHigh[index]!, this.#baseLow[index]!, high, low);
      return order !== 0 ? order : this.compareKey(index, key, start, end);
    });
  }

  compareNew(
    index: number,
    high: number,
    low: number,
    key: DataView,
    start: number,
    end: number,
  ): number {
    const order = compareDescending(this.#newHigh[index]!, this.#newLow[index]!, high, low);
    return order !== 0 ? order : this.compareKey(index, key, start, end);
  }

  compareKey(index: number, key: DataView, start: number, end: number): number {
    const { sums } = this;
    return compareBytes(sums.keys, sums.keyStart[index]!, sums.keyEnd(index), key, start, end);
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
    const order = compareDescending(high[left]!, low[left]!, high[right]!, low[right]!);
    if (order !== 0) return order;
    const { keys, keyStart } = this.sums;
    return this.compareKey(left, keys, keyStart[right]!, this.sums.keyEnd(right));
  }

  #grow(count: number): void {
    const length = Math.max(32, 2 * count);
    this.#baseHigh = grown(this.#baseHigh, length);
    this.#baseLow = grown(this.#baseLow, length);
    this.#newHigh = grown(this.#newHigh, length);
    this.#newLow = grown(this.#newLow, length);
    this.#hasBase = grown(this.#hasBase, length);
  }
}

/** Binary search: how many elements of `order` come first, those for which `compare` is below 0. */
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

function numbersFrom(start: number, end: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: end - start }, (_, index) => start + index);
}

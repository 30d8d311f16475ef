/**
 * The keys that the logs change, over a snapshot of the keyspace's file (the base): their sums, their old
 * values, their new values, and the order of each.
 *
 * Invariants:
 * 1. After `updateOrder` `byNew` holds every changed key, in rank order of the new values, and `byOld` those
 *    that the base has, in rank order of the old ones. Order: value descending, then key bytes ascending.
 * 2. A new value is base + sum, clamped to int64. A key whose sum is 0 exists all the same.
 */

import { assert } from "../../../base/assert.ts";
import { grown } from "../../../base/grown.ts";
import { carryOf, clampedHigh, clampedLow, compareDescending } from "../../../base/int64.ts";
import { compareBytes } from "../../keyspace/mod.ts";
import type { BaseRanking } from "./base_ranking.ts";
import { KeySums } from "./key_sums.ts";
import { StepwiseSort } from "./stepwise_sort.ts";

/** Keys that one step looks up in the base: each may read a page. */
const LOOKED_UP_A_STEP = 128;

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
  /** Those of them that the base has, and that are not in `byOld` yet. */
  #found: number[] = [];
  /** Changed since `byNew` was made, each once: the first `#touchedCount`. */
  #touched = new Uint32Array(32);
  #touchedCount = 0;
  /** The order that is being made. */
  #sort: { readonly isOld: boolean; readonly by: StepwiseSort } | null = null;

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
    if (this.#touchedCount === this.#touched.length) {
      this.#touched = grown(this.#touched, 2 * this.#touchedCount);
    }
    this.#touched[this.#touchedCount++] = index;
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

  /** True between two steps that make an order. */
  get isOrdering(): boolean {
    return this.#sort !== null;
  }

  /** Looks up in the base the keys that were added since the last call. */
  lookUp(): void {
    while (!this.lookUpSome());
  }

  /** Brings the order of the new values up to date. */
  updateOrder(): void {
    while (!this.step());
  }

  /**
   * Does a part of what `lookUp` and `updateOrder` do, about a millisecond of work. True if nothing is left.
   * Between the steps nothing may be added.
   */
  step(): boolean {
    if (!this.lookUpSome()) return false;
    this.#sort ??= this.#nextSort();
    if (this.#sort === null) return true;
    const sorted = this.#sort.by.step();
    if (sorted === null) return false;
    if (this.#sort.isOld) this.byOld = sorted;
    else this.byNew = sorted;
    this.#sort = null;
    if (this.#found.length > 0 || this.#touchedCount > 0) return false;
    assert(this.byNew.length === this.sums.count, "Every changed key has its place");
    return true;
  }

  /** Does a part of `lookUp`; true if nothing was left to do. */
  lookUpSome(): boolean {
    const { sums } = this;
    if (this.#lookedUp >= sums.count) return true;
    if (this.#newHigh.length < sums.count) this.#grow(sums.count);
    const end = Math.min(sums.count, this.#lookedUp + LOOKED_UP_A_STEP);
    // Each by itself, so that a call that throws can be repeated.
    for (; this.#lookedUp < end; this.#lookedUp++) {
      const index = this.#lookedUp;
      const isThere = this.#base.find(sums.keys, sums.keyStart[index]!, sums.keyEnd(index));
      this.#hasBase[index] = isThere ? 1 : 0;
      if (isThere) {
        this.#baseHigh[index] = this.#base.foundHigh;
        this.#baseLow[index] = this.#base.foundLow;
        this.#found.push(index);
      } else {
        this.keysNotInBase++;
      }
    }
    return false;
  }

  /** The order that has to be brought up to date next; null if none has. */
  #nextSort(): { readonly isOld: boolean; readonly by: StepwiseSort } | null {
    if (this.#found.length > 0) {
      const found = Uint32Array.from(this.#found);
      this.#found = [];
      const compare = (left: number, right: number) =>
        this.#compareTwo(left, right, this.#baseHigh, this.#baseLow);
      return { isOld: true, by: new StepwiseSort(this.byOld, found, compare) };
    }
    if (this.#touchedCount === 0) return null;
    const touched = this.#touched.slice(0, this.#touchedCount);
    const stayed = this.byNew.filter((index) => this.#isTouched[index] === 0);
    for (const index of touched) this.#setNewValue(index);
    for (const index of touched) this.#isTouched[index] = 0;
    this.#touchedCount = 0;
    const compare = (left: number, right: number) =>
      this.#compareTwo(left, right, this.#newHigh, this.#newLow);
    return { isOld: false, by: new StepwiseSort(stayed, touched, compare) };
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

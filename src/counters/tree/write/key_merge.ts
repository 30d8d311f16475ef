/**
 * Adds a batch to the key order, and notes the old and the new count of each key. The rank order is changed
 * by these notes.
 */

import { carryOf, clampedHigh, clampedLow, fitsInt64, hasOverflowed } from "../../../base/int64.ts";
import type { PageAllocator } from "./allocator.ts";
import {
  type Batch,
  ENTRY_HIGH_WORD,
  ENTRY_KEY_WORD,
  ENTRY_LENGTH_MASK,
  ENTRY_LOW_WORD,
} from "./batch.ts";
import {
  countWidth,
  findInKeyLeaf,
  keyLeafHigh,
  keyLeafLow,
  setKeyLeafCount,
} from "../pages/key_leaf.ts";
import type { KeyLeafPacker } from "./key_leaf_packer.ts";
import { PAGE_WIDTH_OFFSET, type PageFrame } from "../pages/page.ts";
import type { PageSink } from "../pages/page_sink.ts";
import type { ScratchPages } from "../pages/page_source.ts";
import type { Root } from "../pages/root.ts";
import { TreeBuilder } from "./tree_builder.ts";
import { TreeMerge } from "./tree_merge.ts";

/** The count has not changed. */
export const COUNT_SAME = 0;
/** The counter existed with another count. */
export const COUNT_MOVED = 1;
/** The counter did not exist. */
export const COUNT_CREATED = 2;

/** So many differences of 33 bits add up exactly in a double. */
const SUM_COUNTS_MAX = 1 << 20;

/** The outcome for each key of a batch, by its place in the batch. */
export class CountChanges {
  readonly outcome: Uint8Array;
  readonly oldHigh: Int32Array;
  readonly oldLow: Int32Array;
  readonly newHigh: Int32Array;
  readonly newLow: Int32Array;
  created = 0;
  /** Counts that were clamped to a limit of int64, because the exact sum is beyond it. */
  saturated = 0;

  constructor(length: number) {
    this.outcome = new Uint8Array(length);
    this.oldHigh = new Int32Array(length);
    this.oldLow = new Int32Array(length);
    this.newHigh = new Int32Array(length);
    this.newLow = new Int32Array(length);
  }

  /** By how much the sum of all counters changes. */
  sum(): bigint {
    let sum = 0n;
    for (let from = 0; from < this.outcome.length; from += SUM_COUNTS_MAX) {
      const to = Math.min(from + SUM_COUNTS_MAX, this.outcome.length);
      let high = 0;
      let low = 0;
      for (let index = from; index < to; index++) {
        high += this.newHigh[index]! - this.oldHigh[index]!;
        low += (this.newLow[index]! >>> 0) - (this.oldLow[index]! >>> 0);
      }
      sum += (BigInt(high) << 32n) + BigInt(low);
    }
    return sum;
  }
}

export class KeyMerge extends TreeMerge<KeyLeafPacker> {
  readonly changes: CountChanges;
  readonly #batch: Batch;
  /** The row of each change in the current leaf, or −1 − the row before which it is inserted. */
  #found = new Int32Array(64);

  constructor(
    batch: Batch,
    { source, sink, allocator }: {
      readonly source: ScratchPages;
      readonly sink: PageSink;
      readonly allocator: PageAllocator;
    },
  ) {
    super(source, TreeBuilder.ofKeys(sink), allocator, "key");
    this.#batch = batch;
    this.changes = new CountChanges(batch.length);
  }

  run(root: Root): Root {
    return this.merge(root, this.#batch.length);
  }

  protected override visitLeaf(frame: PageFrame, from: number, to: number): void {
    const { leaf } = this.builder;
    const keepsShape = this.#apply(frame, from, to);
    if (keepsShape && !leaf.wouldTake(frame.rows)) {
      leaf.appendLeaf(frame, (view, counts) => this.#patch(view, counts, frame, from, to));
      return;
    }
    const { newHigh, newLow } = this.changes;
    let row = 0;
    for (let index = from; index < to; index++) {
      const found = this.#found[index - from]!;
      const at = found < 0 ? -1 - found : found;
      leaf.appendRows(frame, row, at);
      row = at;
      if (found < 0) this.#appendNew(index);
      else leaf.appendChanged(frame, row++, newHigh[index]!, newLow[index]!);
    }
    leaf.appendRows(frame, row, frame.rows);
  }

  protected override insertAll(from: number, to: number): void {
    for (let index = from; index < to; index++) {
      this.#create(index);
      this.#appendNew(index);
    }
  }

  protected override changesBefore(
    from: number,
    to: number,
    separator: DataView,
    start: number,
    end: number,
  ): number {
    return lowerBound(from, to, (index) => this.#batch.compareKey(index, separator, start, end));
  }

  /** Finds and computes the changes of a leaf; true if its rows and column width stay the same. */
  #apply(frame: PageFrame, from: number, to: number): boolean {
    const { view } = frame;
    const batch = this.#batch;
    const { words, entries } = batch;
    const width = view.getUint8(PAGE_WIDTH_OFFSET);
    if (to - from > this.#found.length) this.#found = new Int32Array(2 * (to - from));
    let keepsShape = true;
    let row = 0;
    const stride = Math.ceil(frame.rows / (to - from));
    for (let index = from; index < to; index++) {
      const entry = entries[index]!;
      const keyStart = (entry + ENTRY_KEY_WORD) * 4;
      const keyEnd = keyStart + (words[entry]! & ENTRY_LENGTH_MASK);
      const found = findInKeyLeaf(view, batch.view, keyStart, keyEnd, row, stride);
      this.#found[index - from] = found;
      if (found < 0) {
        row = -1 - found;
        keepsShape = false;
        this.#create(index);
      } else {
        row = found + 1;
        this.#add(index, keyLeafHigh(view, found), keyLeafLow(view, found));
        const { newHigh, newLow } = this.changes;
        if (countWidth(newHigh[index]!, newLow[index]!) > width) keepsShape = false;
      }
    }
    return keepsShape;
  }

  #patch(view: DataView, counts: number, frame: PageFrame, from: number, to: number): void {
    const width = frame.view.getUint8(PAGE_WIDTH_OFFSET);
    const { newHigh, newLow } = this.changes;
    for (let index = from; index < to; index++) {
      const at = counts + this.#found[index - from]! * width;
      setKeyLeafCount(view, at, width, newHigh[index]!, newLow[index]!);
    }
  }

  #appendNew(index: number): void {
    const batch = this.#batch;
    const start = batch.keyStart(index);
    const { newHigh, newLow } = this.changes;
    const end = start + batch.keyLength(index);
    this.builder.leaf.append(newHigh[index]!, newLow[index]!, batch.bytes, start, end);
  }

  #create(index: number): void {
    this.#add(index, 0, 0);
    this.changes.outcome[index] = COUNT_CREATED;
    this.changes.created++;
  }

  /** New count = old count + sum, exact, clamped to the limits of int64. */
  #add(index: number, oldHigh: number, oldLow: number): void {
    const { words, entries, wraps } = this.#batch;
    const { changes } = this;
    const entry = entries[index]!;
    const sumHigh = words[entry + ENTRY_HIGH_WORD]!;
    const sumLow = words[entry + ENTRY_LOW_WORD]!;
    let low = (oldLow + sumLow) | 0;
    let high = (oldHigh + sumHigh + carryOf(oldLow, sumLow, low)) | 0;
    if (hasOverflowed(oldHigh, sumHigh, high) || wraps.size > 0) {
      const sumTop = (sumHigh >> 31) + (wraps.get(entry) ?? 0);
      const top = (oldHigh >> 31) + sumTop + carryOf(oldHigh, sumHigh, high);
      if (!fitsInt64(top, high)) changes.saturated++;
      low = clampedLow(top, high, low);
      high = clampedHigh(top, high);
    }
    changes.oldHigh[index] = oldHigh;
    changes.oldLow[index] = oldLow;
    changes.newHigh[index] = high;
    changes.newLow[index] = low;
    changes.outcome[index] = high === oldHigh && low === oldLow ? COUNT_SAME : COUNT_MOVED;
  }
}

/**
 * The first index in `[from, to)` whose `order` is not below 0, or `to`. The search begins near `from`,
 * because a child mostly has few changes.
 */
export function lowerBound(from: number, to: number, order: (index: number) => number): number {
  let low = from;
  let step = 1;
  while (low + step <= to && order(low + step - 1) < 0) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step - 1, to);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order(middle) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

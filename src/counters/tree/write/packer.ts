/**
 * Fills pages of one level of a tree with rows in order.
 *
 * The rows of up to two pages are pending: `[0, pageBreak)` fill one page, `[pageBreak, count)` go into the
 * next. So pages in the middle of a long run are full. If a run would end with a nearly empty page, the
 * last two pages share their rows.
 *
 * Invariants: 1. both parts fit a page each; 2. `pageBreak` is 0 until a page is full; 3. no page is empty.
 */

import { assert } from "../../../base/assert.ts";
import type { PageSink } from "../pages/page_sink.ts";

/** The level above, which gets every page that was written. The separator is `bytes[start, end)`. */
export interface PageReceiver {
  receive(
    level: number,
    child: number,
    rows: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
}

/** Two pages are packed into one only up to this part, because the size is an estimate. */
const FILL_MAX = 0.95;

export abstract class Packer {
  protected count = 0;
  protected pageBreak = 0;

  constructor(
    readonly level: number,
    protected readonly sink: PageSink,
    protected readonly receiver: PageReceiver,
  ) {}

  /** Rows that are not written yet. */
  get pendingRows(): number {
    return this.count;
  }

  /**
   * Whether closing now would leave a page mostly empty, so that the neighbour should be packed with it.
   */
  get isSmall(): boolean {
    return this.count > 0 && this.pageBreak === 0 &&
      this.sizeOf(0, this.count) * 3 < this.sink.pageSize;
  }

  /**
   * Whether a neighbour with `rows` rows of the same size would fit the open page, so that one page
   * replaces two. A nearly full neighbour is left alone, because it would only be written anew.
   */
  wouldTake(rows: number): boolean {
    const open = this.count - this.pageBreak;
    if (open === 0) return false;
    const bytes = this.sizeOf(this.pageBreak, this.count);
    return bytes * (1 + rows / open) <= this.sink.pageSize * FILL_MAX;
  }

  /** Writes the pending rows. */
  close(): void {
    if (this.count === 0) return;
    if (this.pageBreak === 0 || this.pageBreak === this.count) {
      this.seal(0, this.count);
    } else {
      const split = this.#split();
      this.seal(0, split);
      this.seal(split, this.count);
    }
    this.drop(this.count);
    assert(this.count === 0, "A closed packer has no pending rows");
    this.pageBreak = 0;
  }

  /** Breaks the page: rows from `next` on go into another one. */
  protected breakPage(next: number): void {
    if (this.pageBreak > 0) {
      this.seal(0, this.pageBreak);
      const sealed = this.pageBreak;
      this.drop(sealed);
      this.pageBreak = next - sealed;
    } else {
      this.pageBreak = next;
    }
    assert(this.pageBreak > 0, "A full page has rows");
  }

  /** Bytes of a page with the rows `[from, to)`. */
  protected abstract sizeOf(from: number, to: number): number;
  /** The size of the rows before `row`, for splitting the pending rows in halves. */
  protected abstract weightBefore(row: number): number;
  /** Writes a page with the rows `[from, to)` and tells the receiver. */
  protected abstract seal(from: number, to: number): void;
  /** Drops the first `rows` rows. */
  protected abstract drop(rows: number): void;

  /** Where to split the pending rows if the second page would be less than half full. */
  #split(): number {
    const { pageSize } = this.sink;
    if (this.sizeOf(this.pageBreak, this.count) * 2 >= pageSize) return this.pageBreak;
    const half = this.weightBefore(this.count) / 2;
    let middle = this.pageBreak;
    while (middle > 1 && this.weightBefore(middle) > half) middle--;
    const fits = this.sizeOf(0, middle) <= pageSize && this.sizeOf(middle, this.count) <= pageSize;
    return fits ? middle : this.pageBreak;
  }
}

/** A typed array of at least `length`, with the content of `array`. */
export function grown<T extends Int32Array | Uint32Array | Float64Array | Uint8Array>(
  array: T,
  length: number,
): T {
  if (array.length >= length) return array;
  const larger = new (array.constructor as new (length: number) => T)(
    Math.max(length, array.length * 2),
  );
  larger.set(array);
  return larger;
}

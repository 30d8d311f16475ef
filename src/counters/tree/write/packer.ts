/**
 * Fills pages of one level of a tree with rows that come in order.
 *
 * The rows of up to two pages are held back: `[0, cut)` fill one page, `[cut, count)` go into the next.
 * So pages in the middle of a long run are full, and where a run ends with little in its last page the
 * last two share their rows.
 *
 * Invariants: 1. both parts fit a page each; 2. `cut` is 0 until a page is full; 3. no page is empty.
 */

import { assert } from "../../../base/assert.ts";
import type { PageSink } from "../pages/page_sink.ts";

/** The level above, told of every finished page. The separator lies in `bytes[start, end)`. */
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

/** Pages that are packed together are not filled further, so that a guess that is a bit off still fits. */
const FILL_MAX = 0.95;

export abstract class Packer {
  protected count = 0;
  protected pageBreak = 0;

  constructor(
    readonly level: number,
    protected readonly sink: PageSink,
    protected readonly receiver: PageReceiver,
  ) {}

  /** Rows that are held back. */
  get pendingRows(): number {
    return this.count;
  }

  /**
   * Whether closing now would leave a page mostly empty, so that the neighbour had better be packed
   * with it.
   */
  get isSmall(): boolean {
    return this.count > 0 && this.pageBreak === 0 &&
      this.sizeOf(0, this.count) * 3 < this.sink.pageSize;
  }

  /**
   * Whether a neighbour with `rows` rows like those at hand would go into the page that is open, so that
   * one page does for two. A neighbour that is nearly full is left alone: it would only be written anew.
   */
  wouldTake(rows: number): boolean {
    const open = this.count - this.pageBreak;
    if (open === 0) return false;
    const bytes = this.sizeOf(this.pageBreak, this.count);
    return bytes * (1 + rows / open) <= this.sink.pageSize * FILL_MAX;
  }

  /** Writes the rows that are held back. */
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
    assert(this.count === 0, "A closed packer holds nothing");
    this.pageBreak = 0;
  }

  /** The current page is full: rows from `next` on go into another. */
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
  /** Sum of row sizes before `row`: grows with `row`, and halves where the rows do. */
  protected abstract weightBefore(row: number): number;
  /** Writes a page with the rows `[from, to)` and tells the receiver. */
  protected abstract seal(from: number, to: number): void;
  /** Forgets the first `rows` rows. */
  protected abstract drop(rows: number): void;

  /** Where to part the held rows when the second page would be less than half full. */
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

/** A typed array of at least `length`, with the old content. */
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

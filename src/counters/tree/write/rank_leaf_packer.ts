/** Packs rows in wire form into leaves of the rank order. Layout: `rank_leaf.ts`. */

import {
  RANK_SEPARATOR_COUNT_BYTES,
  SEPARATOR_BYTES_MAX,
  setRankSeparatorCount,
} from "../pages/branch.ts";
import { grown, Packer, type PageReceiver } from "./packer.ts";
import { PAGE_KIND_RANK_LEAF, type PageFrame } from "../pages/page.ts";
import type { PageSink } from "../pages/page_sink.ts";
import {
  RANK_LEAF_ROWS_OFFSET,
  RANK_LEAF_SLOT_BYTES,
  RANK_ROW_BYTES_MAX,
  RANK_ROW_KEY_OFFSET,
  RANK_ROW_LENGTH_OFFSET,
  rankRowStart,
} from "../pages/rank_leaf.ts";

export class RankLeafPacker extends Packer {
  /** Row i lies in `rows[starts[i], starts[i + 1])`. */
  #rows: Uint8Array;
  #view: DataView;
  #starts = new Uint32Array((this.sink.pageSize >> 6) + 1);
  readonly #separator = new Uint8Array(SEPARATOR_BYTES_MAX);
  readonly #separatorView = new DataView(this.#separator.buffer);

  constructor(sink: PageSink, receiver: PageReceiver) {
    super(0, sink, receiver);
    this.#rows = new Uint8Array(3 * sink.pageSize + RANK_ROW_BYTES_MAX);
    this.#view = new DataView(this.#rows.buffer);
  }

  /** Adds a row whose key is `key[start, end)`. */
  append(high: number, low: number, key: Uint8Array, start: number, end: number): void {
    const bytes = RANK_ROW_KEY_OFFSET + end - start;
    if (this.#capacity() < bytes + RANK_LEAF_SLOT_BYTES) this.breakPage(this.count);
    const row = this.#reserve(1);
    const at = this.#starts[row]!;
    const rows = this.#rows;
    this.#view.setInt32(at, low, true);
    this.#view.setInt32(at + 4, high, true);
    this.#view.setUint16(at + RANK_ROW_LENGTH_OFFSET, end - start, true);
    let to = at + RANK_ROW_KEY_OFFSET;
    for (let from = start; from < end; from++) rows[to++] = key[from]!;
    this.#starts[row + 1] = at + bytes;
    this.count = row + 1;
  }

  /** Adds the rows `[from, to)` of a leaf, with one copy of bytes for each page that they fill. */
  appendRows(frame: PageFrame, from: number, to: number): void {
    const { view, bytes } = frame;
    let next = from;
    while (next < to) {
      const start = rankRowStart(view, next);
      const capacity = this.#capacity();
      // All rows, or as many as fit, which a binary search finds.
      let last = to;
      if (rankRowStart(view, to) - start + RANK_LEAF_SLOT_BYTES * (to - next) > capacity) {
        let low = next;
        let high = to;
        while (high - low > 1) {
          const middle = (low + high) >>> 1;
          const size = rankRowStart(view, middle) - start + RANK_LEAF_SLOT_BYTES * (middle - next);
          if (size <= capacity) low = middle;
          else high = middle;
        }
        last = low;
      }
      if (last === next) {
        this.breakPage(this.count);
        continue;
      }
      const row = this.#reserve(last - next);
      const at = this.#starts[row]!;
      const end = rankRowStart(view, last);
      this.#rows.set(bytes.subarray(start, end), at);
      const shift = at - start;
      for (let index = next + 1; index < last; index++) {
        this.#starts[row + index - next] = rankRowStart(view, index) + shift;
      }
      this.#starts[row + last - next] = end + shift;
      this.count = row + last - next;
      next = last;
    }
  }

  protected override sizeOf(from: number, to: number): number {
    return RANK_LEAF_ROWS_OFFSET + this.#starts[to]! - this.#starts[from]! +
      RANK_LEAF_SLOT_BYTES * (to - from);
  }

  protected override weightBefore(row: number): number {
    return this.#starts[row]! + RANK_LEAF_SLOT_BYTES * row;
  }

  protected override seal(from: number, to: number): void {
    const { sink } = this;
    const starts = this.#starts;
    const first = starts[from]!;
    const last = starts[to]!;
    const number = sink.beginPage();
    const { base, bytes, view, pageSize } = sink;
    bytes.set(this.#rows.subarray(first, last), base + RANK_LEAF_ROWS_OFFSET);
    let slot = base + pageSize;
    for (let row = from; row < to; row++) {
      slot -= RANK_LEAF_SLOT_BYTES;
      view.setUint16(slot, RANK_LEAF_ROWS_OFFSET + starts[row]! - first, true);
    }
    const end = RANK_LEAF_ROWS_OFFSET + last - first;
    sink.endPage(PAGE_KIND_RANK_LEAF, 0, { rows: to - from, end });
    const separator = this.#separator;
    setRankSeparatorCount(
      this.#separatorView,
      0,
      this.#view.getInt32(first + 4, true),
      this.#view.getInt32(first, true),
    );
    const keyBytes = starts[from + 1]! - first - RANK_ROW_KEY_OFFSET;
    const key = first + RANK_ROW_KEY_OFFSET;
    separator.set(this.#rows.subarray(key, key + keyBytes), RANK_SEPARATOR_COUNT_BYTES);
    const separatorEnd = RANK_SEPARATOR_COUNT_BYTES + keyBytes;
    this.receiver.receive(0, number, to - from, separator, 0, separatorEnd);
  }

  protected override drop(rows: number): void {
    const { count } = this;
    const start = this.#starts[rows]!;
    this.#rows.copyWithin(0, start, this.#starts[count]!);
    for (let row = rows; row <= count; row++) this.#starts[row - rows] = this.#starts[row]! - start;
    this.count = count - rows;
  }

  /** Bytes that are left in the current page. */
  #capacity(): number {
    return this.sink.pageSize - this.sizeOf(this.pageBreak, this.count);
  }

  /** Makes place for `rows` more rows; returns the index of the first. */
  #reserve(rows: number): number {
    const needed = this.count + rows + 1;
    if (needed > this.#starts.length) this.#starts = grown(this.#starts, needed);
    return this.count;
  }
}

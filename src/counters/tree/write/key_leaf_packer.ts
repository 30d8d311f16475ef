/** Packs (key, count) rows into leaves of the key order. Layout: `key_leaf.ts`. */

import { commonPrefix } from "../pages/compare.ts";
import {
  countWidth,
  KEY_LEAF_COUNTS_OFFSET,
  KEY_LEAF_OFFSET_BYTES,
  keyLeafBytes,
  keyLeafHigh,
  keyLeafLow,
  keyLeafOffsets,
  setKeyLeafCount,
} from "../pages/key_leaf.ts";
import { grown, Packer, type PageReceiver } from "./packer.ts";
import {
  KEY_BYTES_MAX,
  PAGE_END_OFFSET,
  PAGE_HEADER_BYTES,
  PAGE_KIND_KEY_LEAF,
  PAGE_PREFIX_OFFSET,
  PAGE_WIDTH_OFFSET,
  type PageFrame,
} from "../pages/page.ts";
import type { PageSink } from "../pages/page_sink.ts";

/**
 * The narrowest width of a new leaf. Counters grow, and in nearly every leaf one of them soon needs a
 * second byte. With a width of 1 the whole leaf and its neighbours would then be packed anew.
 */
const WIDTH_MIN = 2;

export class KeyLeafPacker extends Packer {
  // The memory begins small for small pages: most keyspaces that have them get a row or two in a fold.
  #lows = new Int32Array(this.sink.pageSize >> 6);
  #highs = new Int32Array(this.#lows.length);
  /** Key i lies in `heap[ends[i], ends[i + 1])`, in full. */
  #ends = new Uint32Array(this.#lows.length + 1);
  #heap = new Uint8Array(this.sink.pageSize >> 1);
  /** Of the rows from `pageBreak` on: the length of the common prefix, and the widest count. */
  #prefix = 0;
  #width = WIDTH_MIN;

  constructor(sink: PageSink, receiver: PageReceiver) {
    super(0, sink, receiver);
  }

  /** Adds a row whose key is `key[start, end)`. */
  append(high: number, low: number, key: Uint8Array, start: number, end: number): void {
    this.#add(high, low, key, start, start, start, end);
  }

  /** Adds the rows `[from, to)` of a leaf. */
  appendRows(frame: PageFrame, from: number, to: number): void {
    const { view, bytes } = frame;
    const offsets = keyLeafOffsets(frame.rows, view.getUint8(PAGE_WIDTH_OFFSET));
    const heap = view.getUint16(offsets, true);
    const prefixStart = heap - view.getUint16(PAGE_PREFIX_OFFSET, true);
    let start = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES * from, true);
    for (let row = from; row < to; row++) {
      const end = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES * (row + 1), true);
      const low = keyLeafLow(view, row);
      this.#add(keyLeafHigh(view, row), low, bytes, prefixStart, heap, start, end);
      start = end;
    }
  }

  /** Adds a row of a leaf with another count. */
  appendChanged(frame: PageFrame, row: number, high: number, low: number): void {
    const { view, bytes } = frame;
    const offsets = keyLeafOffsets(frame.rows, view.getUint8(PAGE_WIDTH_OFFSET));
    const heap = view.getUint16(offsets, true);
    const prefixStart = heap - view.getUint16(PAGE_PREFIX_OFFSET, true);
    const start = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES * row, true);
    const end = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES * (row + 1), true);
    this.#add(high, low, bytes, prefixStart, heap, start, end);
  }

  /**
   * Writes a copy of a leaf in which `patch` may change counts that fit its column. The fast path for a
   * leaf that gains no key. Pending rows are written first.
   */
  appendLeaf(frame: PageFrame, patch: (view: DataView, countsOffset: number) => void): void {
    this.close();
    const { sink } = this;
    const { view, bytes } = frame;
    const number = sink.beginPage();
    const end = view.getUint16(PAGE_END_OFFSET, true);
    sink.bytes.set(bytes.subarray(PAGE_HEADER_BYTES, end), sink.base + PAGE_HEADER_BYTES);
    const width = view.getUint8(PAGE_WIDTH_OFFSET);
    const prefix = view.getUint16(PAGE_PREFIX_OFFSET, true);
    patch(sink.view, sink.base + KEY_LEAF_COUNTS_OFFSET);
    sink.endPage(PAGE_KIND_KEY_LEAF, 0, { rows: frame.rows, end, prefix, width });
    // The prefix and the rest of the first key are adjacent: together they are the first key.
    const offsets = keyLeafOffsets(frame.rows, width);
    const first = view.getUint16(offsets, true);
    const second = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES, true);
    this.receiver.receive(0, number, frame.rows, bytes, first - prefix, second);
  }

  protected override sizeOf(from: number, to: number): number {
    let width = WIDTH_MIN;
    for (let row = from; row < to; row++) {
      const rowWidth = countWidth(this.#highs[row]!, this.#lows[row]!);
      if (rowWidth > width) width = rowWidth;
    }
    const keyBytes = this.#ends[to]! - this.#ends[from]!;
    return keyLeafBytes(to - from, width, this.#prefixOf(from, to), keyBytes);
  }

  protected override weightBefore(row: number): number {
    return this.#ends[row]! - this.#ends[0]! + row * 8;
  }

  protected override seal(from: number, to: number): void {
    const { sink } = this;
    const rows = to - from;
    const prefix = this.#prefixOf(from, to);
    let width = WIDTH_MIN;
    for (let row = from; row < to; row++) {
      const rowWidth = countWidth(this.#highs[row]!, this.#lows[row]!);
      if (rowWidth > width) width = rowWidth;
    }
    const number = sink.beginPage();
    const { base, bytes, view } = sink;
    let at = base + KEY_LEAF_COUNTS_OFFSET;
    for (let row = from; row < to; row++) {
      setKeyLeafCount(view, at, width, this.#highs[row]!, this.#lows[row]!);
      at += width;
    }
    const heap = this.#heap;
    const ends = this.#ends;
    const offsets = base + keyLeafOffsets(rows, width);
    at = offsets + KEY_LEAF_OFFSET_BYTES * (rows + 1);
    let source = ends[from]!;
    while (source < ends[from]! + prefix) bytes[at++] = heap[source++]!;
    for (let row = from; row < to; row++) {
      view.setUint16(offsets + KEY_LEAF_OFFSET_BYTES * (row - from), at - base, true);
      const stop = ends[row + 1]!;
      source = ends[row]! + prefix;
      while (source < stop) bytes[at++] = heap[source++]!;
    }
    view.setUint16(offsets + KEY_LEAF_OFFSET_BYTES * rows, at - base, true);
    sink.endPage(PAGE_KIND_KEY_LEAF, 0, { rows, end: at - base, prefix, width });
    this.receiver.receive(0, number, rows, heap, ends[from]!, ends[from + 1]!);
  }

  protected override drop(rows: number): void {
    const { count } = this;
    const start = this.#ends[rows]!;
    this.#heap.copyWithin(0, start, this.#ends[count]!);
    for (let row = rows; row <= count; row++) this.#ends[row - rows] = this.#ends[row]! - start;
    this.#lows.copyWithin(0, rows, count);
    this.#highs.copyWithin(0, rows, count);
    this.count = count - rows;
  }

  /** Adds a row whose key is in two parts of `source`. */
  #add(
    high: number,
    low: number,
    source: Uint8Array,
    headStart: number,
    headEnd: number,
    restStart: number,
    restEnd: number,
  ): void {
    const row = this.count;
    if (row + 2 > this.#lows.length) {
      this.#lows = grown(this.#lows, row + 2);
      this.#highs = grown(this.#highs, row + 2);
      this.#ends = grown(this.#ends, this.#lows.length + 1);
    }
    const start = this.#ends[row]!;
    if (start + KEY_BYTES_MAX > this.#heap.length) {
      this.#heap = grown(this.#heap, start + KEY_BYTES_MAX);
    }
    const heap = this.#heap;
    let at = start;
    for (let from = headStart; from < headEnd; from++) heap[at++] = source[from]!;
    for (let from = restStart; from < restEnd; from++) heap[at++] = source[from]!;
    this.#lows[row] = low;
    this.#highs[row] = high;
    this.#ends[row + 1] = at;
    this.count = row + 1;
    const width = Math.max(WIDTH_MIN, countWidth(high, low));
    if (row === this.pageBreak) {
      this.#prefix = at - start;
      this.#width = width;
      return;
    }
    const first = this.#ends[this.pageBreak]!;
    const limit = at - start < this.#prefix ? at - start : this.#prefix;
    const prefix = commonPrefix(heap, first, heap, start, limit);
    const widest = width > this.#width ? width : this.#width;
    if (keyLeafBytes(row + 1 - this.pageBreak, widest, prefix, at - first) <= this.sink.pageSize) {
      this.#prefix = prefix;
      this.#width = widest;
      return;
    }
    this.breakPage(row);
    this.#prefix = at - start;
    this.#width = width;
  }

  /** The common prefix. Because keys ascend, it is that of the first and the last key. */
  #prefixOf(from: number, to: number): number {
    const first = this.#ends[from]!;
    const last = this.#ends[to - 1]!;
    const limit = Math.min(this.#ends[from + 1]! - first, this.#ends[to]! - last);
    return commonPrefix(this.#heap, first, this.#heap, last, limit);
  }
}

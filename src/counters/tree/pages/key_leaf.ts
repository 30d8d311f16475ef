/**
 * Leaves of the key order: what count does a key have?
 *
 *     header │ counts: rows × width │ offsets: (rows + 1) × 2 │ prefix │ rest of key 0 │ rest of key 1 …
 *
 * Counts are a column, each `width` (1, 2, 4 or 8) bytes wide, the narrowest width that holds all of them.
 * Most counts are small, and a fold that only raises counts patches the column and leaves the keys alone.
 * The common prefix of all keys of the leaf is stored once.
 *
 * Invariants: 1. keys ascend strictly; 2. offset i is where the rest of key i begins, and the one after the
 * last is the end; the prefix ends at offset 0; 3. a count is signed, little-endian.
 */

import { joinInt64 } from "../../../base/int64.ts";
import { compareBytes } from "./compare.ts";
import {
  KEY_BYTES_MAX,
  PAGE_END_OFFSET,
  PAGE_HEADER_BYTES,
  PAGE_PREFIX_OFFSET,
  PAGE_ROWS_OFFSET,
  PAGE_SIZE_MAX,
  PAGE_WIDTH_OFFSET,
  type PageFrame,
} from "./page.ts";

export const KEY_LEAF_COUNTS_OFFSET = PAGE_HEADER_BYTES;
export const KEY_LEAF_OFFSET_BYTES = 2;

/** Where the column of offsets begins. */
export function keyLeafOffsets(rows: number, width: number): number {
  return KEY_LEAF_COUNTS_OFFSET + ((rows * width + 1) & ~1);
}

/** Bytes of a leaf with these rows, with its header; `keyBytes` is the length of all keys in full. */
export function keyLeafBytes(
  rows: number,
  width: number,
  prefix: number,
  keyBytes: number,
): number {
  return keyLeafOffsets(rows, width) + KEY_LEAF_OFFSET_BYTES * (rows + 1) + prefix + keyBytes -
    rows * prefix;
}

/** The narrowest column for a count: 1, 2, 4 or 8 bytes. */
export function countWidth(high: number, low: number): number {
  if (high !== low >> 31) return 8;
  if (low !== (low << 16) >> 16) return 4;
  return low === (low << 24) >> 24 ? 1 : 2;
}

/**
 * The row of a key: its index, or −1 − the index of the first greater key (the number of rows if all are
 * smaller). Rows before `from` are known to be smaller; the search begins near `from + stride`.
 */
export function findInKeyLeaf(
  leaf: DataView,
  key: DataView,
  keyStart: number,
  keyEnd: number,
  from = 0,
  stride = PAGE_SIZE_MAX,
): number {
  const rows = leaf.getUint16(PAGE_ROWS_OFFSET, true);
  const offsets = keyLeafOffsets(rows, leaf.getUint8(PAGE_WIDTH_OFFSET));
  const prefix = leaf.getUint16(PAGE_PREFIX_OFFSET, true);
  let restStart = keyStart;
  if (prefix > 0) {
    const heap = leaf.getUint16(offsets, true);
    const head = keyEnd - keyStart < prefix ? keyEnd : keyStart + prefix;
    const order = compareBytes(key, keyStart, head, leaf, heap - prefix, heap);
    if (order < 0) return -1;
    if (order > 0) return -1 - rows;
    restStart = head;
  }
  let low = from;
  let step = stride;
  while (low + step < rows) {
    const order = compareRest(leaf, offsets, low + step, key, restStart, keyEnd);
    if (order === 0) return low + step;
    if (order > 0) break;
    low += step + 1;
    step *= 2;
  }
  let high = low + step < rows ? low + step : rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareRest(leaf, offsets, middle, key, restStart, keyEnd);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1 - low;
}

/** Compares the part of a row's key behind the prefix. */
function compareRest(
  leaf: DataView,
  offsets: number,
  row: number,
  key: DataView,
  restStart: number,
  keyEnd: number,
): number {
  const at = offsets + KEY_LEAF_OFFSET_BYTES * row;
  const start = leaf.getUint16(at, true);
  const end = leaf.getUint16(at + KEY_LEAF_OFFSET_BYTES, true);
  return compareBytes(leaf, start, end, key, restStart, keyEnd);
}

/** Low half of the count of a row. */
export function keyLeafLow(leaf: DataView, row: number): number {
  const width = leaf.getUint8(PAGE_WIDTH_OFFSET);
  const at = KEY_LEAF_COUNTS_OFFSET + row * width;
  if (width === 1) return leaf.getInt8(at);
  if (width === 2) return leaf.getInt16(at, true);
  return leaf.getInt32(at, true);
}

/** High half of the count of a row. */
export function keyLeafHigh(leaf: DataView, row: number): number {
  const width = leaf.getUint8(PAGE_WIDTH_OFFSET);
  if (width === 8) return leaf.getInt32(KEY_LEAF_COUNTS_OFFSET + row * 8 + 4, true);
  return keyLeafLow(leaf, row) >> 31;
}

/** Stores a count that fits `width` bytes. */
export function setKeyLeafCount(
  leaf: DataView,
  at: number,
  width: number,
  high: number,
  low: number,
): void {
  if (width === 1) leaf.setInt8(at, low);
  else if (width === 2) leaf.setInt16(at, low, true);
  else {
    leaf.setInt32(at, low, true);
    if (width === 8) leaf.setInt32(at + 4, high, true);
  }
}

/** Copies one row. For tests, checks and small reads. */
export function keyLeafRow(frame: PageFrame, row: number): { key: Uint8Array; count: bigint } {
  const { view, bytes } = frame;
  const offsets = keyLeafOffsets(frame.rows, view.getUint8(PAGE_WIDTH_OFFSET));
  const prefix = view.getUint16(PAGE_PREFIX_OFFSET, true);
  const heap = view.getUint16(offsets, true);
  const start = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES * row, true);
  const end = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES * (row + 1), true);
  const key = new Uint8Array(prefix + end - start);
  key.set(bytes.subarray(heap - prefix, heap));
  key.set(bytes.subarray(start, end), prefix);
  return { key, count: joinInt64(keyLeafHigh(view, row), keyLeafLow(view, row)) };
}

/** What is wrong with the content of a key leaf whose checksum is right, or null. */
export function keyLeafProblem(frame: PageFrame): string | null {
  const { view, bytes } = frame;
  const rows = frame.rows;
  const width = view.getUint8(PAGE_WIDTH_OFFSET);
  if (width !== 1 && width !== 2 && width !== 4 && width !== 8) return "count width is not legal";
  const offsets = keyLeafOffsets(rows, width);
  const heap = offsets + KEY_LEAF_OFFSET_BYTES * (rows + 1);
  const prefix = view.getUint16(PAGE_PREFIX_OFFSET, true);
  const end = view.getUint16(PAGE_END_OFFSET, true);
  if (heap + prefix > end) return "columns reach past the end";
  if (prefix > KEY_BYTES_MAX) return "prefix is too long";
  let before = heap + prefix;
  if (view.getUint16(offsets, true) !== before) return "offset 0 is not behind the prefix";
  for (let row = 1; row <= rows; row++) {
    const next = view.getUint16(offsets + KEY_LEAF_OFFSET_BYTES * row, true);
    if (next < before || next > end) return `offset ${row} is out of order`;
    if (prefix + next - before > KEY_BYTES_MAX) return `key ${row - 1} is too long`;
    before = next;
  }
  if (before !== end) return "rows do not end where the header says";
  if (hasBytes(bytes, end)) return "unused bytes are not 0";
  return null;
}

function hasBytes(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return true;
  return false;
}

/**
 * Leaves of the rank order: which counter has which rank?
 *
 *     header │ row 0 │ row 1 │ … unused … │ slot 1 │ slot 0
 *     row: value (int64 LE) │ key length (u16 LE) │ key
 *
 * Rows have the form in which the read port sends them, without gaps, so a reply is a copy of a run of
 * bytes. Slot i (u16, counted from the end of the page) is where row i begins.
 *
 * Invariants: 1. rows descend by count, and ascend by key where counts are equal; 2. row i ends where
 * row i + 1 begins, the last at the end that the header names.
 */

import { compareDescending, joinInt64 } from "../../../base/int64.ts";
import { compareBytes } from "./compare.ts";
import {
  KEY_BYTES_MAX,
  PAGE_END_OFFSET,
  PAGE_HEADER_BYTES,
  PAGE_ROWS_OFFSET,
  PAGE_SIZE_MAX,
  type PageFrame,
} from "./page.ts";

export const RANK_LEAF_ROWS_OFFSET = PAGE_HEADER_BYTES;
export const RANK_LEAF_SLOT_BYTES = 2;

export const rankRowLayout = {
  value: { offset: 0, size: 8 },
  keyLength: { offset: 8, size: 2 },
  key: { offset: 10, size: 0 },
} as const;

export const RANK_ROW_COUNT_OFFSET = rankRowLayout.value.offset;
export const RANK_ROW_LENGTH_OFFSET = rankRowLayout.keyLength.offset;
export const RANK_ROW_KEY_OFFSET = rankRowLayout.key.offset;

/** Bytes of the longest row. */
export const RANK_ROW_BYTES_MAX = RANK_ROW_KEY_OFFSET + KEY_BYTES_MAX;

/** Where row `row` begins. If `row` is the number of rows, where the last one ends. */
export function rankRowStart(leaf: DataView, row: number): number {
  if (row === leaf.getUint16(PAGE_ROWS_OFFSET, true)) return leaf.getUint16(PAGE_END_OFFSET, true);
  return leaf.getUint16(leaf.byteLength - RANK_LEAF_SLOT_BYTES * (row + 1), true);
}

/** Low half of the count of the row at byte `at`. */
export function rankRowLow(leaf: DataView, at: number): number {
  return leaf.getInt32(at + RANK_ROW_COUNT_OFFSET, true);
}

/** High half of the count of the row at byte `at`. */
export function rankRowHigh(leaf: DataView, at: number): number {
  return leaf.getInt32(at + RANK_ROW_COUNT_OFFSET + 4, true);
}

/**
 * Index of the first row that is not before (count, key): where that counter is, or would be. Rows before
 * `from` are known to be before it; the search begins near `from + stride`.
 */
export function lowerBoundInRankLeaf(
  leaf: DataView,
  high: number,
  low: number,
  key: DataView,
  keyStart: number,
  keyEnd: number,
  from = 0,
  stride = PAGE_SIZE_MAX,
): number {
  const rows = leaf.getUint16(PAGE_ROWS_OFFSET, true);
  let first = from;
  let step = stride;
  while (first + step < rows) {
    if (compareRow(leaf, first + step, high, low, key, keyStart, keyEnd) >= 0) break;
    first += step + 1;
    step *= 2;
  }
  let last = first + step < rows ? first + step : rows;
  while (first < last) {
    const middle = (first + last) >>> 1;
    if (compareRow(leaf, middle, high, low, key, keyStart, keyEnd) < 0) first = middle + 1;
    else last = middle;
  }
  return first;
}

/** Below, at or above 0 as a row is before, at or behind (count, key). */
function compareRow(
  leaf: DataView,
  row: number,
  high: number,
  low: number,
  key: DataView,
  keyStart: number,
  keyEnd: number,
): number {
  const slot = leaf.byteLength - RANK_LEAF_SLOT_BYTES - RANK_LEAF_SLOT_BYTES * row;
  const at = leaf.getUint16(slot, true);
  const order = compareDescending(rankRowHigh(leaf, at), rankRowLow(leaf, at), high, low);
  if (order !== 0) return order;
  const start = at + RANK_ROW_KEY_OFFSET;
  const end = start + leaf.getUint16(at + RANK_ROW_LENGTH_OFFSET, true);
  return compareBytes(leaf, start, end, key, keyStart, keyEnd);
}

/** Whether the row at byte `at` has this count and key. */
export function rankRowIs(
  leaf: DataView,
  at: number,
  high: number,
  low: number,
  key: DataView,
  keyStart: number,
  keyEnd: number,
): boolean {
  if (rankRowHigh(leaf, at) !== high || rankRowLow(leaf, at) !== low) return false;
  const start = at + RANK_ROW_KEY_OFFSET;
  const end = start + leaf.getUint16(at + RANK_ROW_LENGTH_OFFSET, true);
  return compareBytes(leaf, start, end, key, keyStart, keyEnd) === 0;
}

/** Copies one row. For tests, checks and small reads. */
export function rankLeafRow(frame: PageFrame, row: number): { key: Uint8Array; count: bigint } {
  const { view, bytes } = frame;
  const at = rankRowStart(view, row);
  const start = at + RANK_ROW_KEY_OFFSET;
  return {
    key: bytes.slice(start, start + view.getUint16(at + RANK_ROW_LENGTH_OFFSET, true)),
    count: joinInt64(rankRowHigh(view, at), rankRowLow(view, at)),
  };
}

/** What is wrong with the content of a rank leaf whose checksum is right, or null. */
export function rankLeafProblem(frame: PageFrame): string | null {
  const { view, bytes } = frame;
  const rows = frame.rows;
  const end = view.getUint16(PAGE_END_OFFSET, true);
  const slots = bytes.length - RANK_LEAF_SLOT_BYTES * rows;
  if (end > slots) return "rows reach into the slots";
  let at = RANK_LEAF_ROWS_OFFSET;
  for (let row = 0; row < rows; row++) {
    if (rankRowStart(view, row) !== at) return `row ${row} does not follow the one before`;
    if (at + RANK_ROW_KEY_OFFSET > end) return `row ${row} is cut off`;
    const keyLength = view.getUint16(at + RANK_ROW_LENGTH_OFFSET, true);
    if (keyLength > KEY_BYTES_MAX) return `key ${row} is too long`;
    const next = at + RANK_ROW_KEY_OFFSET + keyLength;
    if (next > end) return `row ${row} is cut off`;
    at = next;
  }
  if (at !== end) return "rows do not end where the header says";
  for (; at < slots; at++) if (bytes[at] !== 0) return "unused bytes are not 0";
  return null;
}

/**
 * Branch pages of both orders: which child holds a place, and how many rows are before it?
 *
 *     header │ cells: rows × 20 │ offsets: (rows + 1) × 2 │ separator 0 │ separator 1 …
 *     cell: child number (u32) │ child birth (u64) │ rows up to and with this child (u64)
 *
 * Separators compare byte by byte. In the key order a separator is a key or the beginning of one. In the
 * rank order it is the count, inverted so that greater counts sort first, and then the key. Counts of rows
 * are running sums, so both "which child holds row 500,000" and "how many rows are before this child" are
 * answered without adding up.
 *
 * Invariants: 1. separators ascend strictly; separator i is not greater than the first row of child i, and
 * greater than the last row of child i − 1 (a lookup ignores the first separator: what is smaller goes to
 * child 0); 2. running sums ascend strictly.
 */

import { compareBytes } from "./compare.ts";
import {
  getUint53,
  KEY_BYTES_MAX,
  PAGE_END_OFFSET,
  PAGE_HEADER_BYTES,
  PAGE_ROWS_OFFSET,
  type PageFrame,
} from "./page.ts";

export const cellLayout = {
  child: { offset: 0, size: 4 },
  birth: { offset: 4, size: 8 },
  rowsUpTo: { offset: 12, size: 8 },
} as const;

export const CELL_CHILD_OFFSET = cellLayout.child.offset;
export const CELL_BIRTH_OFFSET = cellLayout.birth.offset;
export const CELL_SUM_OFFSET = cellLayout.rowsUpTo.offset;
export const CELL_BYTES = CELL_SUM_OFFSET + cellLayout.rowsUpTo.size;

export const BRANCH_CELLS_OFFSET = PAGE_HEADER_BYTES;
export const BRANCH_OFFSET_BYTES = 2;

/** Bytes of the inverted count before the key, in a separator of the rank order. */
export const RANK_SEPARATOR_COUNT_BYTES = 8;
export const SEPARATOR_BYTES_MAX = RANK_SEPARATOR_COUNT_BYTES + KEY_BYTES_MAX;

export function branchBytes(rows: number, separatorBytes: number): number {
  return BRANCH_CELLS_OFFSET + rows * CELL_BYTES + (rows + 1) * BRANCH_OFFSET_BYTES +
    separatorBytes;
}

/** Writes the inverted count of a rank separator: the bytes of greater counts sort first. */
export function setRankSeparatorCount(
  view: DataView,
  at: number,
  high: number,
  low: number,
): void {
  view.setUint32(at, ~(high ^ 0x80000000));
  view.setUint32(at + 4, ~low);
}

export function branchChild(branch: DataView, index: number): number {
  return branch.getUint32(BRANCH_CELLS_OFFSET + CELL_BYTES * index + CELL_CHILD_OFFSET, true);
}

export function branchBirth(branch: DataView, index: number): number {
  return getUint53(branch, BRANCH_CELLS_OFFSET + CELL_BYTES * index + CELL_BIRTH_OFFSET);
}

/** The number of rows below the children before `index`. */
export function branchRowsBefore(branch: DataView, index: number): number {
  if (index === 0) return 0;
  return getUint53(branch, BRANCH_CELLS_OFFSET + CELL_BYTES * (index - 1) + CELL_SUM_OFFSET);
}

/** Where separator `index` begins. If `index` is the number of children, where the last one ends. */
export function separatorStart(branch: DataView, index: number): number {
  const rows = branch.getUint16(PAGE_ROWS_OFFSET, true);
  const offsets = BRANCH_CELLS_OFFSET + CELL_BYTES * rows;
  return branch.getUint16(offsets + BRANCH_OFFSET_BYTES * index, true);
}

/** The child to descend to for a probe: the last whose separator is not greater, or the first. */
export function findChild(
  branch: DataView,
  probe: DataView,
  probeStart: number,
  probeEnd: number,
): number {
  const rows = branch.getUint16(PAGE_ROWS_OFFSET, true);
  const offsets = BRANCH_CELLS_OFFSET + CELL_BYTES * rows;
  let low = 1;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = offsets + BRANCH_OFFSET_BYTES * middle;
    const order = compareBytes(
      branch,
      branch.getUint16(at, true),
      branch.getUint16(at + BRANCH_OFFSET_BYTES, true),
      probe,
      probeStart,
      probeEnd,
    );
    if (order <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The child that holds the row at `offset` (0-based, counted below this branch). */
export function findChildByOffset(branch: DataView, offset: number): number {
  let low = 0;
  let high = branch.getUint16(PAGE_ROWS_OFFSET, true) - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const sum = getUint53(branch, BRANCH_CELLS_OFFSET + CELL_BYTES * middle + CELL_SUM_OFFSET);
    if (sum <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is wrong with the content of a branch whose checksum is right, or null. */
export function branchProblem(frame: PageFrame): string | null {
  const { view, bytes } = frame;
  const rows = frame.rows;
  const offsets = BRANCH_CELLS_OFFSET + CELL_BYTES * rows;
  let at = offsets + BRANCH_OFFSET_BYTES * (rows + 1);
  const end = view.getUint16(PAGE_END_OFFSET, true);
  if (at > end) return "cells reach past the end";
  if (separatorStart(view, 0) !== at) return "separator 0 is not behind the offsets";
  for (let index = 0; index < rows; index++) {
    const next = separatorStart(view, index + 1);
    if (next < at || next > end) return `separator ${index} is out of order`;
    if (next - at > SEPARATOR_BYTES_MAX) return `separator ${index} is too long`;
    if (index > 0) {
      const before = separatorStart(view, index - 1);
      if (compareBytes(view, before, at, view, at, next) >= 0) {
        return `separator ${index} is not greater than the one before`;
      }
    }
    // Written so that NaN, the result for a number that is too great, fails as well.
    if (!(branchRowsBefore(view, index + 1) > branchRowsBefore(view, index))) {
      return `child ${index} has no rows`;
    }
    at = next;
  }
  if (at !== end) return "separators do not end where the header says";
  for (; at < bytes.length; at++) if (bytes[at] !== 0) return "unused bytes are not 0";
  return null;
}

/** What a reader asks of a snapshot of a keyspace's file. */

import type { RowBuffer } from "./row_buffer.ts";

/** A snapshot of a keyspace's file. Counts are given in two halves, the high one signed. */
export interface BaseRanking {
  readonly total: number;
  /** Looks a key up: true if it exists; its count is then in `foundHigh` and `foundLow`. */
  find(key: DataView, start: number, end: number): boolean;
  readonly foundHigh: number;
  readonly foundLow: number;
  /** How many counters come before this one in rank order, whether it exists or not. */
  rowsBefore(high: number, low: number, key: DataView, start: number, end: number): number;
  /** Appends rows `offset … offset + length` in wire form; the caller knows that they exist. */
  copyRows(offset: number, length: number, out: RowBuffer): void;
}

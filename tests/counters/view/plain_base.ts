/** The plain model of `BaseRanking`: a ranking in memory, sorted again for every question. */

import type { BaseRanking } from "../../../src/counters/view/ranking/base_ranking.ts";
import type { RowBuffer } from "../../../src/counters/view/ranking/row_buffer.ts";
import { encodeRow, rowBytes } from "../../../src/counters/wire/mod.ts";

export interface PlainRow {
  /** Latin-1 string of the bytes. */
  readonly key: string;
  readonly value: bigint;
}

export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);

/** Value descending, then key bytes ascending. */
export function inRankOrder(rows: Iterable<PlainRow>): PlainRow[] {
  return [...rows].sort((left, right) =>
    left.value !== right.value
      ? (left.value > right.value ? -1 : 1)
      : left.key < right.key
      ? -1
      : left.key > right.key
      ? 1
      : 0
  );
}

export function latin1Bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function latin1Text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** A key as 32-bit words, NUL padded. */
export function wordsOf(key: string): Int32Array<ArrayBuffer> {
  const words = new Int32Array((key.length + 3) >>> 2);
  new Uint8Array(words.buffer).set(latin1Bytes(key));
  return words;
}

export class PlainBase implements BaseRanking {
  readonly rows: PlainRow[];
  foundHigh = 0;
  foundLow = 0;

  constructor(counters: ReadonlyMap<string, bigint>) {
    this.rows = inRankOrder(Array.from(counters, ([key, value]) => ({ key, value })));
  }

  get total(): number {
    return this.rows.length;
  }

  find(key: DataView, start: number, end: number): boolean {
    const text = keyText(key, start, end);
    const row = this.rows.find((row) => row.key === text);
    if (row === undefined) return false;
    this.foundHigh = Number(BigInt.asIntN(32, row.value >> 32n));
    this.foundLow = Number(BigInt.asIntN(32, row.value));
    return true;
  }

  rowsBefore(high: number, low: number, key: DataView, start: number, end: number): number {
    const value = (BigInt(high) << 32n) | BigInt(low >>> 0);
    const text = keyText(key, start, end);
    return this.rows.filter((row) => row.value > value || row.value === value && row.key < text)
      .length;
  }

  copyRows(offset: number, length: number, out: RowBuffer): void {
    for (const { key, value } of this.rows.slice(offset, offset + length)) {
      const at = out.extend(rowBytes(key.length));
      encodeRow(out.bytes, at, {
        low: Number(BigInt.asIntN(32, value)),
        high: Number(BigInt.asIntN(32, value >> 32n)),
        key: latin1Bytes(key),
      });
    }
  }
}

function keyText(key: DataView, start: number, end: number): string {
  return latin1Text(new Uint8Array(key.buffer, key.byteOffset + start, end - start));
}

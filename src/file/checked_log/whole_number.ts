/** Whole numbers up to 2^53 in 64 bits of a file, as two halves, so that hot paths make no bigint. */

export function writeWhole(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

/** Reads such a number. A value above 2^53 is inexact, and fails the bounds that callers check. */
export function readWhole(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

/**
 * Signed 64-bit integers as two 32-bit halves, so that hot loops need no BigInt. The order is (high, low) in
 * every signature. A sum that may leave int64 has a third word above them: (top, high, low). All words are
 * held as signed 32-bit integers.
 *
 * A sum of halves begins with the low one, and each word takes the carry of the word below:
 *
 *     low = (a.low + b.low) | 0
 *     high = (a.high + b.high + carryOf(a.low, b.low, low)) | 0
 *     top = (a.top + b.top + carryOf(a.high, b.high, high)) | 0
 */

export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);

/** The low half may also be unsigned. */
export function joinInt64(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

export function highHalf(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n));
}

export function lowHalf(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

/** 1 if `sum`, of two words and perhaps a carry, went beyond 32 bits, else 0. */
export function carryOf(left: number, right: number, sum: number): number {
  return ((left & right) | ((left | right) & ~sum)) >>> 31;
}

/** True if `sum`, the high half of a sum, has the other sign than both of its parts: it left int64. */
export function hasOverflowed(leftHigh: number, rightHigh: number, sum: number): boolean {
  return ((leftHigh ^ sum) & (rightHigh ^ sum)) < 0;
}

/** True if the number of three words fits int64: its top word is the sign of the others. */
export function fitsInt64(top: number, high: number): boolean {
  return top === high >> 31;
}

/** High half of the number of three words, clamped to the limits of int64. */
export function clampedHigh(top: number, high: number): number {
  return fitsInt64(top, high) ? high : (top >> 31) ^ 0x7fffffff;
}

/** Low half of the number of three words, clamped to the limits of int64. */
export function clampedLow(top: number, high: number, low: number): number {
  return fitsInt64(top, high) ? low : ~(top >> 31);
}

/** Below 0 if the left number comes first in descending order, because it is the larger. */
export function compareDescending(
  leftHigh: number,
  leftLow: number,
  rightHigh: number,
  rightLow: number,
): number {
  if (leftHigh !== rightHigh) return leftHigh > rightHigh ? -1 : 1;
  if (leftLow === rightLow) return 0;
  return leftLow >>> 0 > rightLow >>> 0 ? -1 : 1;
}

/** Reads an int64 that is a safe integer; another one is rounded. */
export function getSafeInt64(view: DataView, offset: number): number {
  return view.getInt32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
}

/** Stores a safe integer as int64. */
export function setSafeInt64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setInt32(offset + 4, Math.floor(value / 2 ** 32), true);
}

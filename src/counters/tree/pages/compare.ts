/**
 * The two orders of a keyspace, on bytes in place. Keys compare byte by byte; four at a time, as big-endian
 * words, is the same and faster. Counts are two 32-bit halves, the high one signed and the low one
 * unsigned.
 */

/** Below, at or above 0 as the bytes of `left` sort before, with or after those of `right`. */
export function compareBytes(
  left: DataView,
  leftStart: number,
  leftEnd: number,
  right: DataView,
  rightStart: number,
  rightEnd: number,
): number {
  const leftLength = leftEnd - leftStart;
  const rightLength = rightEnd - rightStart;
  const common = leftLength < rightLength ? leftLength : rightLength;
  let index = 0;
  for (const words = common & ~3; index < words; index += 4) {
    const a = left.getUint32(leftStart + index);
    const b = right.getUint32(rightStart + index);
    if (a !== b) return a < b ? -1 : 1;
  }
  for (; index < common; index++) {
    const order = left.getUint8(leftStart + index) - right.getUint8(rightStart + index);
    if (order !== 0) return order;
  }
  return leftLength - rightLength;
}

/** Below 0 if the left count is before the right one in rank order, because it is the larger. */
export function compareRank(
  leftHigh: number,
  leftLow: number,
  rightHigh: number,
  rightLow: number,
): number {
  if (leftHigh !== rightHigh) return leftHigh > rightHigh ? -1 : 1;
  if (leftLow === rightLow) return 0;
  return leftLow >>> 0 > rightLow >>> 0 ? -1 : 1;
}

/** How many leading bytes the two have in common, at most `limit`. */
export function commonPrefix(
  left: Uint8Array,
  leftStart: number,
  right: Uint8Array,
  rightStart: number,
  limit: number,
): number {
  let length = 0;
  while (length < limit && left[leftStart + length] === right[rightStart + length]) length++;
  return length;
}

/** Joins the two halves of a count to an exact integer. */
export function joinCount(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

export function highHalf(count: bigint): number {
  return Number(BigInt.asIntN(32, count >> 32n));
}

export function lowHalf(count: bigint): number {
  return Number(BigInt.asIntN(32, count));
}

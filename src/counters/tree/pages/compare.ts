/**
 * The two orders of a keyspace, on bytes in place. Keys compare byte by byte; four at a time, as big-endian
 * words, is the same and faster. Counts are compared as the halves of `base/int64.ts`.
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

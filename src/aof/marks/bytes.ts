/** Searching long runs of zeros. */

/** Index of the last byte before `end` that is not 0, or -1. */
export function lastNonZero(data: Uint8Array, end: number): number {
  let index = end - 1;
  // Byte by byte down to a whole word in memory, then by words: the unused part of a file is long.
  while (index >= 0 && (data.byteOffset + index + 1) % 4 !== 0) {
    if (data[index] !== 0) return index;
    index--;
  }
  const words = Math.floor((index + 1) / 4);
  if (words > 0) {
    const start = index + 1 - words * 4;
    const view = new Int32Array(data.buffer, data.byteOffset + start, words);
    let word = words - 1;
    while (word >= 0 && view[word] === 0) word--;
    index = start + word * 4 + 3;
  }
  while (index >= 0 && data[index] === 0) index--;
  return index;
}

/** Whether all bytes of `data` from `start` to `end` are 0. */
export function isZero(data: Uint8Array, start: number, end: number): boolean {
  return lastNonZero(data.subarray(start, end), end - start) === -1;
}

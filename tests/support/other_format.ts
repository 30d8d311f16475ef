/** Makes a whole keyspace file one that only a newer countd can read. */

import { crc32 } from "node:zlib";

const VERSION_OFFSET = 8;
const CHECKSUM_OFFSET = 12;
const INCOMPAT_OFFSET = 20;
const BLOCK_SIZE_OFFSET = 24;
const META_BLOCKS = 4;

/** The same bytes with version 3, or with an unknown feature, in every meta block, and right checksums. */
export function ofNewerFormat(whole: Uint8Array, what: "version" | "feature"): Uint8Array {
  const bytes = whole.slice();
  const view = new DataView(bytes.buffer);
  const size = view.getUint32(BLOCK_SIZE_OFFSET, true);
  for (let at = 0; at < META_BLOCKS * size; at += size) {
    if (what === "version") view.setUint32(at + VERSION_OFFSET, 3, true);
    else view.setUint32(at + INCOMPAT_OFFSET, 1 << 7, true);
    const head = crc32(bytes.subarray(at, at + CHECKSUM_OFFSET));
    const checksum = crc32(bytes.subarray(at + CHECKSUM_OFFSET + 4, at + size), head);
    view.setUint32(at + CHECKSUM_OFFSET, checksum, true);
  }
  return bytes;
}

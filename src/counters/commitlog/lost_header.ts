/**
 * A log whose newest header copy is damaged looks like what it was before: free, where a writer has claimed
 * it since. It must not be claimed again, for what it holds would be gone without a word.
 */

import { FrameCodec, LogBytes } from "./frame.ts";
import { decodeHeader, newestHeader } from "./header.ts";
import { headerCopyBytes, headPageBytes } from "./layout.ts";

/**
 * Offset of the header copy that is lost, or null. A claim makes its header durable before the first frame
 * is written, so no crash leaves a frame of the next use in a log that says free.
 */
export function lostHeaderOffset(bytes: Uint8Array): number | null {
  const newest = newestHeader(bytes.subarray(0, headPageBytes));
  if (newest === null || newest.header.state !== "free") return null;
  const other = newest.copy === 0 ? headerCopyBytes : 0;
  if (decodeHeader(bytes.slice(other, other + headerCopyBytes)) !== null) return null;
  const { slot, generation } = newest.header;
  const codec = new FrameCodec({ slot, generation: generation + 1n });
  return codec.verify(new LogBytes(bytes), headPageBytes, bytes.length) > 0 ? other : null;
}

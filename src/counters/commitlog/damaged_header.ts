/**
 * Logs whose newest header copy is damaged. The older copy still says free, although a writer has claimed
 * the log since. Such a log must not be claimed again, because its frames would be lost silently.
 */

import type { LogBytes } from "../../file/checked_log/mod.ts";
import { BatchCursor } from "./frame.ts";
import { decodeHeader, newestHeader } from "./header.ts";
import { HEAD_PAGE_BYTES, HEADER_COPY_BYTES } from "./layout.ts";

/**
 * Offset of the damaged newest header copy, or null if there is none. A claim makes its header durable
 * before the first frame is written. So no crash leaves a frame of the next generation in a log that says
 * free. `log` is called only if a copy is damaged.
 */
export function damagedHeaderOffset(
  headPage: Uint8Array,
  path: string,
  log: () => LogBytes,
): number | null {
  const newest = newestHeader(headPage, path);
  if (newest === null || newest.header.state !== "free") return null;
  const other = newest.copy === 0 ? HEADER_COPY_BYTES : 0;
  const copy = headPage.subarray(other, other + HEADER_COPY_BYTES);
  if (decodeHeader(copy, path) !== null) return null;
  const { slot, generation } = newest.header;
  const frame = new BatchCursor(log(), { slot, generation: generation + 1n });
  return frame.at(HEAD_PAGE_BYTES, frame.log.size) ? other : null;
}

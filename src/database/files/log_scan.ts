/**
 * Reading a log from front to back, and telling a torn tail from damage.
 *
 * A step is one frame, or several of which all but the last say that more follow; it counts as a whole
 * or not at all. The log ends before the first step that is not whole. What stands behind that is
 * either a torn tail (stores that were on their way to the disk when the power went) or damage: it is
 * damage exactly if somebody knew the place to be on the disk. Each frame says how far that was known
 * when it was written.
 */

import { FrameCursor } from "../format/frame.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_HEAD_BYTES,
  FRAME_MAGIC,
  frameLayout,
} from "../format/layout.ts";

export interface LogScan {
  /** End of the last whole step. */
  readonly tail: number;
  /** End of the last byte after the tail that is not zero; `tail` where there is none. */
  readonly tornEnd: number;
  /** The first frame that should be whole and is not. */
  readonly damage: { readonly offset: number; readonly durable: number } | null;
}

export interface ScanOptions {
  readonly seed: number;
  /** Where the first frame begins. */
  readonly from: number;
  /** The log is known from elsewhere to be on the disk up to here. */
  readonly durable: number;
}

/** Calls `visit` for the frames of whole steps, in order; `bytes` end where the file ends. */
export function scanLog(
  bytes: Uint8Array,
  options: ScanOptions,
  visit: (frame: FrameCursor) => void,
): LogScan {
  const cursor = new FrameCursor(bytes, options.seed);
  let tail = options.from;
  let bad = tail;
  while (true) {
    bad = endOfStep(cursor, tail, bytes.length);
    if (bad >= 0) {
      for (let offset = tail; offset < bad; offset = cursor.end) {
        cursor.at(offset, bytes.length);
        visit(cursor);
      }
      tail = bad;
      continue;
    }
    bad = -bad;
    break;
  }
  const rest = searchRest(bytes, { from: tail, seed: options.seed });
  const durable = Math.max(options.durable, rest.durable);
  const damage = tail < durable ? { offset: bad, durable } : null;
  return { tail, tornEnd: rest.end, damage };
}

/** End of the step that begins at `offset`; or minus the offset of its first frame that is not whole. */
function endOfStep(cursor: FrameCursor, offset: number, limit: number): number {
  for (let next = offset;;) {
    if (!cursor.at(next, limit)) return -next;
    next = cursor.end;
    if (!cursor.continues) return next;
  }
}

/** What stands behind the tail: its last byte that is not zero, and the furthest claim of a frame. */
function searchRest(
  bytes: Uint8Array,
  options: { readonly from: number; readonly seed: number },
): { end: number; durable: number } {
  const { from } = options;
  const cursor = new FrameCursor(bytes, options.seed);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = from;
  let durable = 0;
  const wordsEnd = Math.floor(bytes.length / FRAME_ALIGNMENT_BYTES) * FRAME_ALIGNMENT_BYTES;
  for (let offset = from; offset < wordsEnd; offset += FRAME_ALIGNMENT_BYTES) {
    const length = view.getUint32(offset, true);
    if (length === 0 && view.getUint32(offset + 4, true) === 0) continue;
    end = offset + FRAME_ALIGNMENT_BYTES;
    if (length < FRAME_HEAD_BYTES || offset + FRAME_HEAD_BYTES > bytes.length) continue;
    if (view.getUint16(offset + frameLayout.magic.offset, true) !== FRAME_MAGIC) continue;
    if (cursor.at(offset, bytes.length)) durable = Math.max(durable, cursor.durable);
  }
  for (let offset = wordsEnd; offset < bytes.length; offset++) {
    if (bytes[offset] !== 0) end = offset + 1;
  }
  return { end, durable };
}

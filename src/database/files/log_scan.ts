/**
 * Reads a log from front to back, and tells a torn tail from damage.
 *
 * A step is one frame, or several of which all but the last say that more follow. A step counts as a
 * whole or not at all. The log ends before the first step that is not whole. The bytes behind that are
 * either a torn tail, which was on its way to the disk when the power failed, or damage. They are damage
 * if and only if the place is below a known durable length. Each frame carries the durable length that
 * was known when it was written.
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
  /** End of the last byte after the tail that is not zero; `tail` if all are zero. */
  readonly tornEnd: number;
  /** Offset of the first frame that should be valid and is not, and the durable length that says so. */
  readonly damage: { readonly offset: number; readonly durable: number } | null;
}

export interface ScanOptions {
  readonly seed: number;
  /** Offset of the first frame. */
  readonly from: number;
  /** Durable length of the log that is known from elsewhere. */
  readonly durable: number;
}

/** Calls `visit` for the frames of whole steps, in order. `bytes` is the whole file. */
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

/**
 * End of the step that begins at `offset`, or, if a frame is invalid, the negated offset of the first such
 * frame.
 */
function endOfStep(cursor: FrameCursor, offset: number, limit: number): number {
  for (let next = offset;;) {
    if (!cursor.at(next, limit)) return -next;
    next = cursor.end;
    if (!cursor.continues) return next;
  }
}

/** Searches the bytes behind the tail: for the last that is not zero, and the greatest durable length. */
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

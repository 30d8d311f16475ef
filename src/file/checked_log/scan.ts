/**
 * Reads a log from front to back, and tells a torn tail from damage. A scan changes nothing.
 *
 * A step is one frame, or several of which all but the last say that more follow. A step counts as a
 * whole or not at all. The log ends before the first step that is not whole. The bytes behind that are
 * either a torn tail, which was on its way to the disk when the power failed, or damage. They are damage
 * if and only if the place is below a known durable length. Each frame carries the durable length that
 * was known when it was written, also a frame behind the place.
 */

import type { FrameCursor } from "./frame.ts";
import { FRAME_ALIGNMENT_BYTES, FRAME_HEAD_BYTES_MIN } from "./layout.ts";

/** What a scan has found. */
export interface LogScan {
  /** End of the last whole step. */
  readonly tail: number;
  /** The greatest durable length that is known: from elsewhere, or from any valid frame. */
  readonly durable: number;
  /** End of the last valid frame, also behind the tail; the tail if none is there. */
  readonly lastFrameEnd: number;
  /** Offset of the first frame that should be valid and is not, and the durable length that says so. */
  readonly damage: { readonly offset: number; readonly durable: number } | null;
}

/** Calls `visit` for the frames of whole steps between `from` and `limit`, in order. */
export function scanLog<Frame extends FrameCursor>(
  frame: Frame,
  { from, limit, durable }: {
    /** Offset of the first frame. */
    readonly from: number;
    readonly limit: number;
    /** Durable length of the log that is known from elsewhere. */
    readonly durable: number;
  },
  visit: (frame: Frame) => void,
): LogScan {
  let tail = from;
  let next = from;
  let known = durable;
  while (frame.at(next, limit)) {
    next = frame.end;
    if (frame.continues) continue;
    for (; tail < next; tail = frame.end) {
      if (frame.offset !== tail) frame.moveTo(tail);
      known = Math.max(known, frame.durable);
      visit(frame);
    }
  }
  let lastFrameEnd = next;
  for (const { durable, end } of validFrames(frame, next, limit)) {
    known = Math.max(known, durable);
    lastFrameEnd = end;
  }
  const damage = tail < known ? { offset: next, durable: known } : null;
  return { tail, durable: known, lastFrameEnd, damage };
}

/**
 * Moves to each valid frame between two offsets, in order, also behind damage. Returns where the search goes
 * on if `to` grows.
 */
export function* validFrames<Frame extends FrameCursor>(
  frame: Frame,
  from: number,
  to: number,
): Generator<Frame, number, void> {
  let offset = from;
  while (offset + FRAME_HEAD_BYTES_MIN <= to) {
    if (frame.at(offset, to)) {
      offset = frame.end;
      yield frame;
    } else offset = frame.log.skipZeros(offset + FRAME_ALIGNMENT_BYTES, to);
  }
  return offset;
}

/** End of the last eight bytes from `from` on that are not all zero; `from` if there are none. */
export function endOfBytes(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end--;
  const unit = FRAME_ALIGNMENT_BYTES;
  return end === from ? from : Math.min(bytes.length, Math.ceil(end / unit) * unit);
}

/**
 * Finds the end of a log that was not sealed. A scan changes nothing and can be repeated.
 *
 * The log ends after the last good frame, counted from the start. Each frame carries the durable length of
 * the log when it was written, and so does the header of a sealed log. Damage *below* the greatest of these
 * destroyed durable bytes, so it is corruption. Damage above it is the torn tail that a crash may leave.
 */

import { FrameCodec, frameDurable, frameRecords, frameWallMs, type LogBytes } from "./frame.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_HEAD_BYTES,
  HEAD_PAGE_BYTES,
  type LogIdentity,
} from "./layout.ts";

export interface Scan {
  /** End of the last good frame counted from the start. */
  readonly goodEnd: number;
  /** The number of counter records in the good frames. */
  readonly records: number;
  /** The number of good frames. */
  readonly frames: number;
  /** When the first and the last good frame were written, in milliseconds since 1970; null without. */
  readonly firstWallMs: bigint | null;
  readonly lastWallMs: bigint | null;
  /** The greatest durable length that a valid frame carries, also behind `goodEnd`. */
  readonly durable: number;
  /** End of the last valid frame behind `goodEnd`; `goodEnd` if there is none. */
  readonly lastFrameEnd: number;
}

/**
 * Scans a log. `length` bounds the frames: the size of the file, or the sealed length. What is left behind
 * the good frames is searched for valid frames.
 */
export function scanLog(log: LogBytes, identity: LogIdentity, length: number): Scan {
  const codec = new FrameCodec(identity);
  let goodEnd = HEAD_PAGE_BYTES;
  let records = 0;
  let frames = 0;
  let durable = 0;
  let last: number | null = null;
  while (true) {
    const size = codec.verify(log, goodEnd, length);
    if (size === 0) break;
    durable = Math.max(durable, frameDurable(log, goodEnd));
    records += frameRecords(log, goodEnd);
    frames++;
    last = goodEnd;
    goodEnd += size;
  }
  const behind = searchFrames(log, codec, { from: goodEnd + FRAME_ALIGNMENT_BYTES, to: length });
  return {
    goodEnd,
    records,
    frames,
    firstWallMs: last === null ? null : frameWallMs(log, HEAD_PAGE_BYTES),
    lastWallMs: last === null ? null : frameWallMs(log, last),
    durable: Math.max(durable, behind.durable),
    lastFrameEnd: Math.max(goodEnd, behind.end),
  };
}

/** Searches for valid frames behind a place that has none. */
export function searchFrames(
  log: LogBytes,
  codec: FrameCodec,
  { from, to }: { readonly from: number; readonly to: number },
): {
  /** The greatest durable length that a found frame carries; 0 if none was found. */
  readonly durable: number;
  /** End of the last frame found; 0 if none was found. */
  readonly end: number;
  /** Where the search continues if `to` grows. */
  readonly next: number;
} {
  let durable = 0;
  let end = 0;
  let offset = from;
  while (offset + FRAME_HEAD_BYTES <= to) {
    const size = codec.verify(log, offset, to);
    if (size === 0) {
      offset += FRAME_ALIGNMENT_BYTES;
      continue;
    }
    durable = Math.max(durable, frameDurable(log, offset));
    offset += size;
    end = offset;
  }
  return { durable, end, next: offset };
}

/** Takes the record batch of a frame: `bytes[start … end)`, at `offset` of the log, valid during the call. */
export type BatchVisitor = (
  bytes: Uint8Array,
  start: number,
  end: number,
  offset: number,
) => void;

/** Visits the batches of the valid frames from `from` on, a frame's start. Returns where they end. */
export function visitFrames(
  log: LogBytes,
  codec: FrameCodec,
  { from, to }: { readonly from: number; readonly to: number },
  visit: BatchVisitor,
): number {
  for (let offset = from;;) {
    const length = codec.verify(log, offset, to);
    if (length === 0) return offset;
    const start = log.at(offset, length);
    visit(log.bytes, start + FRAME_HEAD_BYTES, start + length, offset + FRAME_HEAD_BYTES);
    offset += length;
  }
}

/** True if damage destroyed bytes that were known to be durable. */
export function hasDurableDamage(scan: Scan, sealedDurable: number): boolean {
  return scan.goodEnd < Math.max(scan.durable, sealedDurable);
}

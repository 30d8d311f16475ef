/**
 * Finding the end of a log that nobody sealed. Pure over bytes; looking changes nothing, so it may be
 * done any number of times.
 *
 * The cut is after the last good frame, counted from the start. Each frame carries how far the log was
 * known to be durable when it was written, and a sealed header does too: damage *below* the greatest of
 * these destroyed something that was durable, so it is corruption; damage above it is the torn tail
 * that a crash may leave.
 */

import { FrameCodec, frameDurable, frameRecords, LogBytes } from "./frame.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_HEAD_BYTES,
  HEAD_PAGE_BYTES,
  type LogIdentity,
} from "./layout.ts";

export interface Scan {
  /** End of the last good frame counted from the start. */
  readonly goodEnd: number;
  /** Counter records in the good frames. */
  readonly records: number;
  /** Good frames. */
  readonly frames: number;
  /** Greatest durable length that any valid frame, also behind `goodEnd`, carries. */
  readonly durable: number;
  /** End of the last valid frame behind `goodEnd`; `goodEnd` if there is none. */
  readonly lastFrameEnd: number;
}

/**
 * Scans a log. `length` is where the frames may reach at most (the file's size, or the sealed length).
 * Only where the good frames end before `length` is the rest searched for valid frames.
 */
export function scanLog(bytes: Uint8Array, identity: LogIdentity, length: number): Scan {
  const log = new LogBytes(bytes);
  const codec = new FrameCodec(identity);
  let goodEnd = HEAD_PAGE_BYTES;
  let records = 0;
  let frames = 0;
  let durable = 0;
  while (true) {
    const size = codec.verify(log, goodEnd, length);
    if (size === 0) break;
    durable = Math.max(durable, frameDurable(log, goodEnd));
    records += frameRecords(log, goodEnd);
    frames++;
    goodEnd += size;
  }
  const behind = searchFrames(log, codec, { from: goodEnd + FRAME_ALIGNMENT_BYTES, to: length });
  return {
    goodEnd,
    records,
    frames,
    durable: Math.max(durable, behind.durable),
    lastFrameEnd: Math.max(goodEnd, behind.end),
  };
}

/** Searches for valid frames behind a place where none is. */
export function searchFrames(
  log: LogBytes,
  codec: FrameCodec,
  { from, to }: { readonly from: number; readonly to: number },
): {
  /** Greatest durable length that a frame found speaks of; 0 if none was found. */
  readonly durable: number;
  /** End of the last frame found; 0 if none was found. */
  readonly end: number;
  /** Where the search goes on if `to` grows. */
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

/** True where the damage at the cut destroyed what was known to be durable. */
export function hasDurableDamage(scan: Scan, sealedDurable: number): boolean {
  return scan.goodEnd < Math.max(scan.durable, sealedDurable);
}

/**
 * Finds the end of a log that was not sealed. A scan changes nothing and can be repeated. What is a torn
 * tail, and what is damage, is decided in `src/file/checked_log/`.
 */

import { type LogBytes, type LogScan, scanLog as scanFrames } from "../../file/checked_log/mod.ts";
import { BatchCursor } from "./frame.ts";
import { FRAME_HEAD_BYTES, HEAD_PAGE_BYTES, type LogIdentity } from "./layout.ts";

/** `tail` is the end of the last good frame counted from the start. */
export interface Scan extends LogScan {
  /** The number of counter records in the good frames. */
  readonly records: number;
  /** The number of good frames. */
  readonly frames: number;
  /** When the first and the last good frame were written, in milliseconds since 1970; null without. */
  readonly firstWallMs: number | null;
  readonly lastWallMs: number | null;
}

/**
 * Scans a log. `length` bounds the frames: the size of the file, or the sealed length. `durable` is the
 * durable length by the header.
 */
export function scanLog(
  log: LogBytes,
  identity: LogIdentity,
  { length, durable = 0 }: { readonly length: number; readonly durable?: number },
): Scan {
  let records = 0;
  let frames = 0;
  let firstWallMs: number | null = null;
  let lastWallMs: number | null = null;
  const range = { from: HEAD_PAGE_BYTES, limit: length, durable };
  const scan = scanFrames(new BatchCursor(log, identity), range, (frame) => {
    records += frame.number;
    frames++;
    lastWallMs = frame.wallMs;
    firstWallMs ??= lastWallMs;
  });
  return { ...scan, records, frames, firstWallMs, lastWallMs };
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
  frame: BatchCursor,
  { from, to }: { readonly from: number; readonly to: number },
  visit: BatchVisitor,
): number {
  let offset = from;
  for (; frame.at(offset, to); offset = frame.end) visitBatch(frame, visit);
  return offset;
}

/** Visits the batch of the frame to which the cursor has moved. */
export function visitBatch(frame: BatchCursor, visit: BatchVisitor): void {
  const { bytes, start, length, offset } = frame;
  visit(bytes, start + FRAME_HEAD_BYTES, start + length, offset + FRAME_HEAD_BYTES);
}

/**
 * A whole log, made from frames of other logs: what backup and repair write. The frames are sealed anew at
 * their new offsets, so they are valid only there.
 */

import { assert } from "../../base/assert.ts";
import { CountdError } from "../../base/errors.ts";
import { checkBatch } from "../wire/mod.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  LogBytes,
  sealFrame,
  validFrames,
} from "../../file/checked_log/mod.ts";
import { BatchCursor, batchRecords, batchSeed, plausibleLength } from "./frame.ts";
import { encodeHeader, type LogHeader, type LogState } from "./header.ts";
import { FRAME_HEAD_BYTES, FRAME_MAGIC, HEAD_PAGE_BYTES, type LogIdentity } from "./layout.ts";

/** The place of a valid frame in a log. */
export interface FramePlace {
  readonly offset: number;
  readonly length: number;
}

/** Finds every valid frame of one use of a log, in order, also those behind damage. */
export function findFrames(
  log: LogBytes,
  identity: LogIdentity,
  limit: number,
): FramePlace[] {
  const found = validFrames(new BatchCursor(log, identity), HEAD_PAGE_BYTES, limit);
  return Array.from(found, ({ offset, length }) => ({ offset, length }));
}

/**
 * Finds the latest generation from `first` to `last` of which a log without a header holds a valid frame;
 * null if there is none. Each use writes from the start, so frames of earlier uses may follow, but none of
 * later ones.
 */
export function findLatestGeneration(
  bytes: Uint8Array,
  slot: number,
  { first, last }: { readonly first: bigint; readonly last: bigint },
): bigint | null {
  const log = new LogBytes(bytes);
  // The places are searched once; after that each generation costs one checksum for each place.
  const offsets: number[] = [];
  for (let offset = HEAD_PAGE_BYTES; offset < bytes.length; offset += FRAME_ALIGNMENT_BYTES) {
    if (plausibleLength(log, offset, bytes.length) > 0) offsets.push(offset);
  }
  for (let generation = last; generation >= first; generation--) {
    const frame = new BatchCursor(log, { slot, generation });
    if (offsets.some((offset) => frame.at(offset, bytes.length))) return generation;
  }
  return null;
}

/** Number of increments in the frame at a place; null if it does not consist of whole records. */
export function recordsOf(log: Uint8Array, { offset, length }: FramePlace): number | null {
  try {
    return checkBatch(log, offset + FRAME_HEAD_BYTES, offset + length);
  } catch (error) {
    if (error instanceof CountdError) return null;
    throw error;
  }
}

/** Bytes of a log below `end` that are in none of the good frames: what is damaged. */
export function unusedBytes(good: readonly FramePlace[], end: number): number {
  return Math.max(0, end - good.reduce((sum, place) => sum + place.length, HEAD_PAGE_BYTES));
}

/** Makes the head page of a free log, whose next use has the generation after `generation`. */
export function freeLogImage(log: LogIdentity & { readonly logSize: number }): Uint8Array {
  return logImage(new Uint8Array(0), [], { ...log, claimedWallMs: 0, order: 0n }).bytes;
}

/**
 * Makes the head page and frames of a log at rest: sealed with these frames, or free if there are none. The
 * file has `logSize` bytes, zeros after the image.
 */
export function logImage(
  source: Uint8Array,
  places: readonly FramePlace[],
  log: LogIdentity & Pick<LogHeader, "logSize" | "claimedWallMs" | "order">,
): { readonly bytes: Uint8Array; readonly state: LogState; readonly records: number } {
  const length = places.reduce((sum, place) => sum + place.length, HEAD_PAGE_BYTES);
  assert(length <= log.logSize, "Frames of one log fit into a log");
  const image = new Uint8Array(length);
  const target = new LogBytes(image);
  const common = { magic: FRAME_MAGIC, seed: batchSeed(log), durable: HEAD_PAGE_BYTES };
  let at = HEAD_PAGE_BYTES;
  let records = 0;
  for (const { offset, length } of places) {
    image.set(source.subarray(offset, offset + length), at);
    records += batchRecords(source, offset + FRAME_HEAD_BYTES);
    at = sealFrame(target, at, { ...common, offset: at, end: at + length });
  }
  const state = places.length === 0 ? "free" : "sealed";
  const header = encodeHeader({
    slot: log.slot,
    generation: log.generation,
    sequence: 1n,
    state,
    logSize: log.logSize,
    length,
    durable: length,
    claimedWallMs: log.claimedWallMs,
    records,
    order: log.order,
  });
  image.set(header, 0);
  return { bytes: image, state, records };
}

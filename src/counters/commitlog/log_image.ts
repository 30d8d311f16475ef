/**
 * A whole log, made from frames of other logs: what backup and repair write. The frames are sealed anew at
 * their new offsets, so they are valid only there.
 */

import { assert } from "../../base/assert.ts";
import { CountdError } from "../../base/errors.ts";
import { checkBatch } from "../wire/mod.ts";
import type { StoredFile } from "../../file/mod.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  LogBytes,
  sealFrame,
  validFrames,
} from "../../file/checked_log/mod.ts";
import { BatchCursor, batchRecords, batchSeed, plausibleLength } from "./frame.ts";
import { encodeHeader, type LogHeader, type LogState } from "./header.ts";
import {
  FRAME_HEAD_BYTES,
  FRAME_LENGTH_MAX,
  FRAME_MAGIC,
  HEAD_PAGE_BYTES,
  type LogIdentity,
} from "./layout.ts";

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
  log: LogBytes,
  slot: number,
  { first, last }: { readonly first: bigint; readonly last: bigint },
): bigint | null {
  // The places are searched once; after that each generation costs one checksum for each place.
  const offsets: number[] = [];
  for (let offset = HEAD_PAGE_BYTES; offset < log.size; offset += FRAME_ALIGNMENT_BYTES) {
    if (plausibleLength(log, offset, log.size) > 0) offsets.push(offset);
  }
  for (let generation = last; generation >= first; generation--) {
    const frame = new BatchCursor(log, { slot, generation });
    if (offsets.some((offset) => frame.at(offset, log.size))) return generation;
  }
  return null;
}

/** Number of increments in the frame at a place; null if it does not consist of whole records. */
export function recordsOf(log: LogBytes, { offset, length }: FramePlace): number | null {
  const start = log.at(offset, length);
  try {
    return checkBatch(log.bytes, start + FRAME_HEAD_BYTES, start + length);
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
  return headPage({ ...log, claimedWallMs: 0, order: 0n }, {
    state: "free",
    length: HEAD_PAGE_BYTES,
    records: 0,
  });
}

type NewLog = LogIdentity & Pick<LogHeader, "logSize" | "claimedWallMs" | "order">;

function headPage(
  log: NewLog,
  { length, ...rest }: Pick<LogHeader, "state" | "length" | "records">,
): Uint8Array {
  const { slot, generation, logSize, claimedWallMs, order } = log;
  const header = { slot, generation, logSize, claimedWallMs, order, sequence: 1n, ...rest };
  const page = new Uint8Array(HEAD_PAGE_BYTES);
  page.set(encodeHeader({ ...header, length, durable: length }), 0);
  return page;
}

/** Frames that are written together, so that small ones do not cost a call each. */
const WRITE_BYTES = 2 * FRAME_LENGTH_MAX;

/**
 * Writes head page and frames of a log at rest into an empty file: sealed with these frames of `source`, or
 * free if there are none. What follows in a log of `logSize` bytes is zeros. Memory stays bounded.
 */
export function writeLogImage(
  file: StoredFile,
  source: LogBytes,
  places: readonly FramePlace[],
  log: NewLog,
): { readonly state: LogState; readonly records: number } {
  const length = places.reduce((sum, place) => sum + place.length, HEAD_PAGE_BYTES);
  assert(length <= log.logSize, "Frames of one log fit into a log");
  const target = new LogBytes(new Uint8Array(Math.min(WRITE_BYTES, length)));
  const common = { magic: FRAME_MAGIC, seed: batchSeed(log), durable: HEAD_PAGE_BYTES };
  let written = HEAD_PAGE_BYTES;
  let filled = 0;
  let records = 0;
  const write = () => {
    file.write(target.bytes.subarray(0, filled), written);
    written += filled;
    filled = 0;
  };
  for (const place of places) {
    if (filled + place.length > target.size) write();
    const start = source.at(place.offset, place.length);
    target.bytes.set(source.bytes.subarray(start, start + place.length), filled);
    records += batchRecords(source.bytes, start + FRAME_HEAD_BYTES);
    const sealing = { ...common, offset: written + filled, end: filled + place.length };
    filled = sealFrame(target, filled, sealing);
  }
  if (filled > 0) write();
  const state = places.length === 0 ? "free" : "sealed";
  file.write(headPage(log, { state, length, records }), 0);
  return { state, records };
}

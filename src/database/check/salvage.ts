/**
 * Reads what can be read: every valid frame and every valid chunk, also behind damage. Only repair uses
 * it; a start never skips damage.
 */

import { endOfBytes, type FrameCursor, validFrames } from "../../file/checked_log/mod.ts";
import { readChunk } from "../files/snapshot.ts";
import type { Entry } from "../format/entry.ts";
import { ChunkCursor, chunkSeed, EntryCursor } from "../format/frame.ts";
import type { MapHeader } from "../format/header.ts";
import { frameKinds, HEAD_PAGE_BYTES } from "../format/layout.ts";
import type { ValueMap } from "../engine/value_map.ts";

/** A part of a file that could not be read. */
export interface Damage {
  /** Path of the file. */
  readonly path: string;
  /** Offset of its first byte. */
  readonly from: number;
  /** Offset behind its last byte. */
  readonly to: number;
}

export interface SalvagedLog {
  /** By index; a lost entry is undefined. */
  readonly entries: readonly (Entry | undefined)[];
  readonly committed: number;
  readonly damages: readonly Damage[];
  /** Bytes after the last whole step. */
  readonly tornBytes: number;
}

export interface Source {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly seed: number;
}

/** Visits every valid frame between two offsets; returns the places between them. */
function visitValid<Frame extends FrameCursor>(
  path: string,
  frames: Frame,
  [from, to]: readonly [number, number],
  visit: (frame: Frame) => void,
): Damage[] {
  const damages: Damage[] = [];
  let end = from;
  for (const frame of validFrames(frames, from, to)) {
    if (frame.offset > end) damages.push({ path, from: end, to: frame.offset });
    visit(frame);
    end = frame.end;
  }
  if (end < to) damages.push({ path, from: end, to });
  return damages;
}

/** Replays every valid frame. Each committed entry goes to `apply`, with the offset of its frame. */
export function salvageLog(
  source: Source,
  apply: (entry: Entry, offset: number) => void,
): SalvagedLog {
  const { bytes, path, seed } = source;
  const cursor = new EntryCursor(bytes, seed);
  // The frames behind the last one that ends a step were never a whole step.
  let end: number = HEAD_PAGE_BYTES;
  for (const frame of validFrames(cursor, end, bytes.length)) {
    if (!frame.continues) end = frame.end;
  }
  const entries: (Entry | undefined)[] = [];
  let committed = 0;
  const damages = visitValid(path, cursor, [HEAD_PAGE_BYTES, end], (frame) => {
    // An index below the length means that a truncation was lost, one above it that entries were.
    entries.length = frame.index;
    if (frame.kind === frameKinds.entry) entries.push(frame.entry());
    committed = Math.min(committed, entries.length);
    for (; committed < frame.committed; committed++) {
      const entry = entries[committed];
      if (entry !== undefined) apply(entry, frame.offset);
    }
  });
  return { entries, committed, damages, tornBytes: endOfBytes(bytes, end) - end };
}

/** Puts the records of a snapshot's valid chunks into the map; returns what could not be read. */
export function salvageSnapshot(source: Source, header: MapHeader, map: ValueMap): Damage[] {
  const { bytes, path } = source;
  const end = header.regionOffset + header.regionBytes;
  const limit = Math.min(bytes.length, end);
  const chunks = new ChunkCursor(bytes, chunkSeed(source.seed, header.generation));
  const damages = visitValid(path, chunks, [header.regionOffset, limit], (chunk) => {
    readChunk(chunk, { record: (key, value) => map.set(key, value) });
  });
  if (limit < end) damages.push({ path, from: limit, to: end });
  return damages;
}

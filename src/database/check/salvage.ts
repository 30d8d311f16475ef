/**
 * Reads what can be read: every valid frame and every valid chunk, also behind damage. Only repair uses
 * it; a start never skips damage.
 */

import type { Entry } from "../format/entry.ts";
import { chunkSeed, readChunk } from "../format/chunk.ts";
import { FrameCursor } from "../format/frame.ts";
import type { MapHeader } from "../format/header.ts";
import {
  CHUNK_ALIGNMENT_BYTES,
  chunkKinds,
  FRAME_ALIGNMENT_BYTES,
  frameKinds,
  HEAD_PAGE_BYTES,
  RECORD_HEAD_BYTES,
} from "../format/layout.ts";
import { readText } from "../format/text.ts";
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

export interface LogSource {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly seed: number;
}

/** Replays every valid frame. Each committed entry goes to `apply`, with the offset of its frame. */
export function salvageLog(
  source: LogSource,
  apply: (entry: Entry, offset: number) => void,
): SalvagedLog {
  const { bytes, path, seed } = source;
  const cursor = new FrameCursor(bytes, seed);
  const end = endOfLastStep(source);
  const entries: (Entry | undefined)[] = [];
  let committed = 0;
  const damages: Damage[] = [];
  for (let offset = HEAD_PAGE_BYTES; offset < end;) {
    if (!cursor.at(offset, end)) {
      const next = nextFrame(cursor, offset + FRAME_ALIGNMENT_BYTES, end);
      damages.push({ path, from: offset, to: next });
      offset = next;
      continue;
    }
    // An index below the length means that a truncation was lost, one above it that entries were.
    entries.length = cursor.index;
    if (cursor.kind === frameKinds.entry) entries.push(cursor.entry());
    committed = Math.min(committed, entries.length);
    for (; committed < cursor.committed; committed++) {
      const entry = entries[committed];
      if (entry !== undefined) apply(entry, cursor.offset);
    }
    offset = cursor.end;
  }
  return { entries, committed, damages, tornBytes: lastByte(bytes, end) - end };
}

/** End of the last frame that ends a step. The frames behind it were never a whole step. */
function endOfLastStep(source: LogSource): number {
  const { bytes, seed } = source;
  const cursor = new FrameCursor(bytes, seed);
  let end: number = HEAD_PAGE_BYTES;
  for (let offset = end; offset < bytes.length;) {
    if (cursor.at(offset, bytes.length)) {
      if (!cursor.continues) end = cursor.end;
      offset = cursor.end;
    } else offset = nextFrame(cursor, offset + FRAME_ALIGNMENT_BYTES, bytes.length);
  }
  return end;
}

function nextFrame(cursor: FrameCursor, from: number, limit: number): number {
  let offset = from;
  while (offset < limit && !cursor.at(offset, limit)) offset += FRAME_ALIGNMENT_BYTES;
  return Math.min(offset, limit);
}

function lastByte(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end--;
  return end;
}

/** Puts the records of a snapshot's valid chunks into the map; returns what could not be read. */
export function salvageSnapshot(
  source: { readonly path: string; readonly bytes: Uint8Array; readonly seed: number },
  header: MapHeader,
  map: ValueMap,
): Damage[] {
  const { bytes, path } = source;
  const end = header.regionOffset + header.regionBytes;
  const limit = Math.min(bytes.length, end);
  const seed = chunkSeed(source.seed, header.generation);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const damages: Damage[] = [];
  let offset = header.regionOffset;
  while (offset < limit) {
    const chunk = readChunk(bytes, offset, { limit, seed });
    if (chunk === null) {
      let next = offset + CHUNK_ALIGNMENT_BYTES;
      while (next < limit && readChunk(bytes, next, { limit, seed }) === null) {
        next += CHUNK_ALIGNMENT_BYTES;
      }
      damages.push({ path, from: offset, to: Math.min(next, limit) });
      offset = next;
      continue;
    }
    let at = chunk.contentStart;
    for (let index = 0; chunk.kind === chunkKinds.records && index < chunk.count; index++) {
      const key = at + RECORD_HEAD_BYTES;
      const value = key + view.getUint32(at, true);
      at = value + view.getUint32(at + 4, true);
      map.set(readText(bytes, key, value), readText(bytes, value, at));
    }
    offset = chunk.end;
  }
  if (limit < end) damages.push({ path, from: limit, to: end });
  return damages;
}

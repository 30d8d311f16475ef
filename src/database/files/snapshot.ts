/**
 * Snapshots of the map: written piece by piece while requests go on, and read back.
 *
 * A snapshot may hold changes that were made after it began. That is harmless, because each of them is
 * in the log behind `replayFrom`, and replaying it gives the same map. For that the log must be durable
 * up to `logMin` before the header of the snapshot is stored.
 */

import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_HEAD_BYTES_MIN,
  frameLayout,
  readWhole,
  sealFrame,
  writeWhole,
} from "../../file/checked_log/mod.ts";
import type { EntryBlocks } from "../engine/entry_index.ts";
import { damaged } from "../engine/errors.ts";
import { ChunkCursor, chunkSeed } from "../format/frame.ts";
import type { MapHeader } from "../format/header.ts";
import {
  CHUNK_BYTES_MIN,
  CHUNK_MAGIC,
  chunkKinds,
  HEAD_PAGE_BYTES,
  PAIR_BYTES,
  RECORD_HEAD_BYTES,
} from "../format/layout.ts";
import type { Sums } from "./log_sums.ts";
import type { MapFile, Place, Region } from "./map_file.ts";
import { readText, textBytes, textBytesMax, writeText } from "../format/text.ts";
import type { ValueMap } from "../engine/value_map.ts";

/** The content of a snapshot at its beginning. */
export interface SnapshotContent {
  readonly map: ValueMap;
  readonly blocks: EntryBlocks;
  readonly sums: Sums;
}

/** The snapshot turned out larger than the place before the newest one. */
class OverrunError extends Error {
  override readonly name = "OverrunError";
}

/** Factor by which the map may grow while it is written. */
const ESTIMATE_MARGIN = 1.25;

/**
 * Writes a region, and yields after each chunk so that requests get their turn. Throws `OsError` if
 * the disk is full; the newest snapshot stays valid.
 */
export function* writeRegion(
  file: MapFile,
  content: SnapshotContent,
): Generator<void, Region, void> {
  const place = file.place(estimateBytes(file, content));
  try {
    return yield* writeAt(file, content, place);
  } catch (error) {
    if (!(error instanceof OverrunError)) throw error;
  }
  return yield* writeAt(file, content, file.placeBehind());
}

/** Estimates the size of a region: from the text in the map, and at least the size of the last one. */
function estimateBytes(file: MapFile, content: SnapshotContent): number {
  const pairs = content.blocks.firsts.length + content.sums.ends.length;
  const lists = pairs * PAIR_BYTES;
  const records = content.map.units + content.map.size * RECORD_HEAD_BYTES;
  const last = file.header?.regionBytes ?? 0;
  return Math.max(records * ESTIMATE_MARGIN + lists, last) + HEAD_PAGE_BYTES;
}

function* writeAt(
  file: MapFile,
  content: SnapshotContent,
  place: Place,
): Generator<void, Region, void> {
  const generation = (file.header?.generation ?? 0) + 1;
  const writer = new ChunkWriter(file, place, chunkSeed(file.identity.seed, generation));
  let keys = 0;
  // Keys that are added while the snapshot is written are in the log behind `replayFrom`.
  const keysAtStart = content.map.size;
  for (const [key, value] of content.map.entries()) {
    if (keys === keysAtStart) break;
    writer.record(key, value);
    keys++;
    if (writer.isFull) yield writer.seal(chunkKinds.records);
  }
  yield writer.seal(chunkKinds.records);
  const { blocks, sums } = content;
  const lists = [
    [chunkKinds.entryBlocks, blocks.firsts, blocks.offsets],
    [chunkKinds.logSums, sums.ends, sums.checksums],
  ] as const;
  for (const [kind, firsts, seconds] of lists) {
    for (const [index, first] of firsts.entries()) {
      writer.pair(first, seconds[index] as number);
      if (writer.isFull) yield writer.seal(kind);
    }
    yield writer.seal(kind);
  }
  return { offset: place.offset, bytes: writer.end - place.offset, keys };
}

class ChunkWriter {
  readonly #file: MapFile;
  readonly #place: Place;
  readonly #seed: number;
  #start: number;
  #at: number;
  #count = 0;

  constructor(file: MapFile, place: Place, seed: number) {
    this.#file = file;
    this.#place = place;
    this.#seed = seed;
    this.#start = place.offset;
    this.#at = place.offset + FRAME_HEAD_BYTES_MIN;
  }

  get isFull(): boolean {
    return this.#at - this.#start >= CHUNK_BYTES_MIN;
  }

  /** End of the sealed chunks. */
  get end(): number {
    return this.#start;
  }

  record(key: string, value: string): void {
    const most = RECORD_HEAD_BYTES + textBytesMax(key) + textBytesMax(value);
    if (!this.#fits(most)) this.#reserve(RECORD_HEAD_BYTES + textBytes(key) + textBytes(value));
    const { bytes, view } = this.#file.memory;
    const keyStart = this.#at + RECORD_HEAD_BYTES;
    const valueStart = writeText(bytes, keyStart, key);
    const end = writeText(bytes, valueStart, value);
    view.setUint32(this.#at, valueStart - keyStart, true);
    view.setUint32(this.#at + 4, end - valueStart, true);
    this.#at = end;
    this.#count++;
  }

  pair(first: number, second: number): void {
    this.#reserve(PAIR_BYTES);
    const { view } = this.#file.memory;
    writeWhole(view, this.#at, first);
    writeWhole(view, this.#at + 8, second);
    this.#at += PAIR_BYTES;
    this.#count++;
  }

  seal(kind: typeof chunkKinds[keyof typeof chunkKinds]): void {
    if (this.#count === 0) return;
    const { memory } = this.#file;
    const offset = this.#start;
    memory.view.setUint32(offset + frameLayout.number.offset, this.#count, true);
    memory.view.setUint8(offset + frameLayout.kind.offset, kind);
    memory.view.setUint8(offset + frameLayout.flags.offset, 0);
    const seed = this.#seed;
    const chunk = { magic: CHUNK_MAGIC, seed, offset, end: this.#at, durable: 0 };
    this.#start = sealFrame(memory, offset, chunk);
    this.#at = this.#start + FRAME_HEAD_BYTES_MIN;
    this.#count = 0;
  }

  /** True if `bytes` more, with the padding of the chunk, fit without growing the file. */
  #fits(bytes: number): boolean {
    const end = this.#at + bytes + FRAME_ALIGNMENT_BYTES;
    return end <= this.#place.limit && end <= this.#file.memory.bytes.length;
  }

  #reserve(bytes: number): void {
    const end = this.#at + bytes + FRAME_ALIGNMENT_BYTES;
    if (end > this.#place.limit) throw new OverrunError("The region is larger than its place");
    this.#file.reserve(end);
  }
}

/** Receives the content of a snapshot, one piece at a time. */
export interface SnapshotReader {
  record(key: string, value: string): void;
  entryBlock(first: number, offset: number): void;
  logSum(end: number, checksum: number): void;
}

/** Reads the region of a header. Throws `CorruptError` at the first chunk that is not valid. */
export function readRegion(
  bytes: Uint8Array,
  header: MapHeader,
  source: { readonly path: string; readonly seed: number },
  reader: SnapshotReader,
): void {
  const end = header.regionOffset + header.regionBytes;
  const limit = Math.min(bytes.length, end);
  const chunk = new ChunkCursor(bytes, chunkSeed(source.seed, header.generation));
  for (let offset = header.regionOffset; offset < end; offset = chunk.end) {
    if (!chunk.at(offset, limit) || !readChunk(chunk, reader)) {
      throw damaged(source.path, offset, "the snapshot of the map does not fit its checksum");
    }
  }
}

/** Reads the content of a valid chunk; false if it is longer than the chunk. */
export function readChunk(chunk: ChunkCursor, reader: Partial<SnapshotReader>): boolean {
  const { bytes, view, kind, end } = chunk;
  const headBytes = kind === chunkKinds.records ? RECORD_HEAD_BYTES : PAIR_BYTES;
  let at = chunk.content;
  for (let left = chunk.number; left > 0; left--) {
    const content = at + headBytes;
    if (content > end) return false;
    if (kind === chunkKinds.records) {
      const value = content + view.getUint32(at, true);
      const next = value + view.getUint32(at + 4, true);
      if (next > end) return false;
      reader.record?.(readText(bytes, content, value), readText(bytes, value, next));
      at = next;
    } else {
      const [first, second] = [readWhole(view, at), readWhole(view, at + 8)] as const;
      if (kind === chunkKinds.entryBlocks) reader.entryBlock?.(first, second);
      else reader.logSum?.(first, second);
      at = content;
    }
  }
  return true;
}

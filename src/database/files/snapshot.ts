/**
 * Snapshots of the map: written piece by piece while requests go on, and read back.
 *
 * A snapshot may hold changes that were made after it began. That is harmless, because each of them is
 * in the log behind `replayFrom`, and replaying it gives the same map. For that the log must be durable
 * up to `logMin` before the header of the snapshot is stored.
 */

import { CorruptError } from "../../base/errors.ts";
import { chunkSeed, readChunk, sealChunk } from "../format/chunk.ts";
import type { EntryBlocks } from "../engine/entry_index.ts";
import type { MapHeader } from "../format/header.ts";
import {
  CHUNK_ALIGNMENT_BYTES,
  CHUNK_BYTES_MIN,
  CHUNK_HEAD_BYTES,
  chunkKinds,
  ENTRY_BLOCK_BYTES,
  HEAD_PAGE_BYTES,
  LOG_SUM_BYTES,
  RECORD_HEAD_BYTES,
} from "../format/layout.ts";
import type { Sums } from "./log_sums.ts";
import type { MapFile, Place } from "./map_file.ts";
import {
  readText,
  readWhole,
  textBytes,
  textBytesMax,
  writeText,
  writeWhole,
} from "../format/text.ts";
import type { ValueMap } from "../engine/value_map.ts";

/** The content of a snapshot at its beginning. */
export interface SnapshotContent {
  readonly map: ValueMap;
  readonly blocks: EntryBlocks;
  readonly sums: Sums;
}

export interface Region {
  readonly offset: number;
  readonly bytes: number;
  readonly keys: number;
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
  const lists = content.blocks.firsts.length * ENTRY_BLOCK_BYTES +
    content.sums.ends.length * LOG_SUM_BYTES;
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
  const { firsts, offsets } = content.blocks;
  for (let index = 0; index < firsts.length; index++) {
    writer.wholes(firsts[index] as number, offsets[index] as number);
    if (writer.isFull) yield writer.seal(chunkKinds.entryBlocks);
  }
  yield writer.seal(chunkKinds.entryBlocks);
  const { ends, checksums } = content.sums;
  for (let index = 0; index < ends.length; index++) {
    writer.wholes(ends[index] as number, checksums[index] as number);
    if (writer.isFull) yield writer.seal(chunkKinds.logSums);
  }
  yield writer.seal(chunkKinds.logSums);
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
    this.#at = place.offset + CHUNK_HEAD_BYTES;
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
    const bytes = this.#file.bytes;
    const keyStart = this.#at + RECORD_HEAD_BYTES;
    const valueStart = writeText(bytes, keyStart, key);
    const end = writeText(bytes, valueStart, value);
    const view = this.#file.view;
    view.setUint32(this.#at, valueStart - keyStart, true);
    view.setUint32(this.#at + 4, end - valueStart, true);
    this.#at = end;
    this.#count++;
  }

  wholes(first: number, second: number): void {
    this.#reserve(ENTRY_BLOCK_BYTES);
    writeWhole(this.#file.view, this.#at, first);
    writeWhole(this.#file.view, this.#at + 8, second);
    this.#at += ENTRY_BLOCK_BYTES;
    this.#count++;
  }

  seal(kind: typeof chunkKinds[keyof typeof chunkKinds]): void {
    if (this.#count === 0) return;
    this.#start = sealChunk(this.#file.bytes, this.#start, {
      kind,
      count: this.#count,
      contentEnd: this.#at,
      seed: this.#seed,
    });
    this.#at = this.#start + CHUNK_HEAD_BYTES;
    this.#count = 0;
  }

  /** True if `bytes` more, with the padding of the chunk, fit without growing the file. */
  #fits(bytes: number): boolean {
    const end = this.#at + bytes + CHUNK_ALIGNMENT_BYTES;
    return end <= this.#place.limit && end <= this.#file.bytes.length;
  }

  #reserve(bytes: number): void {
    const end = this.#at + bytes + CHUNK_ALIGNMENT_BYTES;
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
  const limit = Math.min(bytes.length, header.regionOffset + header.regionBytes);
  const seed = chunkSeed(source.seed, header.generation);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = header.regionOffset + header.regionBytes;
  for (let offset = header.regionOffset; offset < end;) {
    const chunk = readChunk(bytes, offset, { limit, seed });
    if (chunk === null) throw damagedChunk(source.path, offset);
    let at = chunk.contentStart;
    for (let index = 0; index < chunk.count; index++) {
      if (chunk.kind === chunkKinds.records) {
        const key = at + RECORD_HEAD_BYTES;
        const value = key + view.getUint32(at, true);
        at = value + view.getUint32(at + 4, true);
        reader.record(readText(bytes, key, value), readText(bytes, value, at));
      } else if (chunk.kind === chunkKinds.entryBlocks) {
        reader.entryBlock(readWhole(view, at), readWhole(view, at + 8));
        at += ENTRY_BLOCK_BYTES;
      } else {
        reader.logSum(readWhole(view, at), readWhole(view, at + 8));
        at += LOG_SUM_BYTES;
      }
    }
    offset = chunk.end;
  }
}

function damagedChunk(path: string, offset: number): CorruptError {
  return new CorruptError(
    `Damage in ${path} at byte ${offset}: the snapshot of the map does not fit its checksum; ` +
      "run countd db repair",
    { path, offset },
  );
}

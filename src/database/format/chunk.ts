/**
 * Chunks: the pieces of a snapshot. Each has its own checksum, so damage costs one piece only. Between
 * two chunks the writer can yield to other requests.
 */

import { crc32 } from "node:zlib";
import {
  CHUNK_ALIGNMENT_BYTES,
  CHUNK_HEAD_BYTES,
  chunkKinds,
  chunkLayout as at,
  roundUp,
  seedAt,
} from "./layout.ts";

export type ChunkKind = typeof chunkKinds[keyof typeof chunkKinds];

export interface Chunk {
  readonly kind: ChunkKind;
  /** Number of records, blocks or stretches in it. */
  readonly count: number;
  readonly contentStart: number;
  readonly end: number;
}

/** The seed of the checksums: a chunk of another database or another snapshot never matches. */
export function chunkSeed(identitySeed: number, generation: number): number {
  return (identitySeed ^ Math.imul(generation | 0, 0x27d4eb2f)) >>> 0;
}

/** Completes a chunk whose content ends at `contentEnd`; returns the end of the chunk. */
export function sealChunk(
  bytes: Uint8Array,
  offset: number,
  chunk: {
    readonly kind: ChunkKind;
    readonly count: number;
    readonly contentEnd: number;
    readonly seed: number;
  },
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = roundUp(chunk.contentEnd, CHUNK_ALIGNMENT_BYTES);
  bytes.fill(0, chunk.contentEnd, end);
  view.setUint32(offset + at.length.offset, end - offset, true);
  view.setUint32(offset + at.kind.offset, chunk.kind, true);
  view.setUint32(offset + at.count.offset, chunk.count, true);
  const checked = bytes.subarray(offset + at.kind.offset, end);
  view.setUint32(offset + at.checksum.offset, crc32(checked, seedAt(chunk.seed, offset)), true);
  return end;
}

/** The chunk at `offset` if it is valid and ends at or before `limit`; else null. */
export function readChunk(
  bytes: Uint8Array,
  offset: number,
  bounds: { readonly limit: number; readonly seed: number },
): Chunk | null {
  if (offset + CHUNK_HEAD_BYTES > bounds.limit) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(offset + at.length.offset, true);
  if (length < CHUNK_HEAD_BYTES || length % CHUNK_ALIGNMENT_BYTES !== 0) return null;
  if (length > bounds.limit - offset) return null;
  const checked = bytes.subarray(offset + at.kind.offset, offset + length);
  const stored = view.getUint32(offset + at.checksum.offset, true);
  if (crc32(checked, seedAt(bounds.seed, offset)) !== stored) return null;
  const kind = view.getUint32(offset + at.kind.offset, true);
  if (kind < chunkKinds.records || kind > chunkKinds.logSums) return null;
  return {
    kind: kind as ChunkKind,
    count: view.getUint32(offset + at.count.offset, true),
    contentStart: offset + CHUNK_HEAD_BYTES,
    end: offset + length,
  };
}

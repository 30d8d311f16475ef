/**
 * The frames of the two files, as functions over bytes. A frame of the log is an entry at an index, a
 * truncation of the log to a length, or a commit up to a length. A frame of the map is a chunk of a
 * snapshot: damage costs one chunk only, and between two of them the writer can yield to other requests.
 *
 * What all frames have in common is in the README of `src/file/checked_log/`; there, `number` is the bytes
 * of the command here, and the count of records, blocks or stretches in a chunk.
 */

import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_CONTINUES,
  FRAME_HEAD_BYTES_MIN,
  FrameCursor,
  frameLayout,
  type FrameShape,
  LogBytes,
  readWhole,
  writeWhole,
} from "../../file/checked_log/mod.ts";
import type { Entry } from "./entry.ts";
import {
  CHUNK_MAGIC,
  chunkKinds,
  ENTRY_HEAD_BYTES,
  ENTRY_MAGIC,
  entryLayout as at,
  frameKinds,
  roundUp,
} from "./layout.ts";
import { readText, textBytes, textBytesMax, writeText } from "./text.ts";

export type FrameKind = typeof frameKinds[keyof typeof frameKinds];

/** The fields of a frame of the log besides its entry. */
export interface Step {
  readonly kind: FrameKind;
  /** Of an entry: its index. Of a truncation: the new length. Of a commit: the present length. */
  readonly index: number;
  /** Number of committed entries once this frame counts. */
  readonly committed: number;
  /** More frames of the same step follow. */
  readonly continues: boolean;
}

/** The frames of the log. Their head gives their exact length, and what follows the text is zero. */
export const entryFrames: FrameShape = {
  headBytes: ENTRY_HEAD_BYTES,
  magic: ENTRY_MAGIC,
  isPlausible({ bytes, view }, start, length) {
    const kind = view.getUint8(start + frameLayout.kind.offset);
    if (kind < frameKinds.entry || kind > frameKinds.commit) return false;
    if (view.getUint8(start + frameLayout.flags.offset) > FRAME_CONTINUES) return false;
    let end = ENTRY_HEAD_BYTES + view.getUint32(start + frameLayout.number.offset, true) +
      view.getUint32(start + at.keyBytes.offset, true) +
      view.getUint32(start + at.valueBytes.offset, true);
    if (roundUp(end, FRAME_ALIGNMENT_BYTES) !== length) return false;
    while (end < length) if (bytes[start + end++] !== 0) return false;
    return true;
  },
};

/** The chunks of the map. */
export const chunkFrames: FrameShape = {
  headBytes: FRAME_HEAD_BYTES_MIN,
  magic: CHUNK_MAGIC,
  isPlausible({ view }, start) {
    const kind = view.getUint8(start + frameLayout.kind.offset);
    return kind >= chunkKinds.records && kind <= chunkKinds.logSums &&
      view.getUint8(start + frameLayout.flags.offset) === 0 &&
      readWhole(view, start + frameLayout.durable.offset) === 0;
  },
};

/** The seed of the checksums of chunks: a chunk of another database or another snapshot never matches. */
export function chunkSeed(identitySeed: number, generation: number): number {
  return (identitySeed ^ Math.imul(generation | 0, 0x27d4eb2f)) >>> 0;
}

/** Upper bound of the bytes that a frame with this entry, or without one, takes. */
export function frameBytesMax(entry: Entry | null): number {
  if (entry === null) return ENTRY_HEAD_BYTES;
  const text = textBytesMax(entry.command) + textBytesMax(entry.key) + textBytesMax(entry.value);
  return roundUp(ENTRY_HEAD_BYTES + text, FRAME_ALIGNMENT_BYTES);
}

/** Exact number of bytes that a frame with this entry, or without one, takes. */
export function frameBytesOf(entry: Entry | null): number {
  if (entry === null) return ENTRY_HEAD_BYTES;
  const text = textBytes(entry.command) + textBytes(entry.key) + textBytes(entry.value);
  return roundUp(ENTRY_HEAD_BYTES + text, FRAME_ALIGNMENT_BYTES);
}

/** Writes the fields and the text of a frame at `start` of memory with enough capacity; returns its end. */
export function writeEntry(
  { bytes, view }: LogBytes,
  start: number,
  entry: Entry | null,
  step: Step,
): number {
  const command = start + ENTRY_HEAD_BYTES;
  const key = entry === null ? command : writeText(bytes, command, entry.command);
  const value = entry === null ? key : writeText(bytes, key, entry.key);
  const end = entry === null ? value : writeText(bytes, value, entry.value);
  view.setUint32(start + frameLayout.number.offset, key - command, true);
  view.setUint8(start + frameLayout.kind.offset, step.kind);
  view.setUint8(start + frameLayout.flags.offset, step.continues ? FRAME_CONTINUES : 0);
  view.setBigInt64(start + at.term.offset, entry === null ? 0n : entry.term, true);
  writeWhole(view, start + at.index.offset, step.index);
  writeWhole(view, start + at.committed.offset, step.committed);
  view.setUint32(start + at.keyBytes.offset, value - key, true);
  view.setUint32(start + at.valueBytes.offset, end - value, true);
  return end;
}

/** Reads the frames of the log. */
export class EntryCursor extends FrameCursor {
  constructor(bytes: Uint8Array, seed: number) {
    super(new LogBytes(bytes), seed, entryFrames);
  }

  get index(): number {
    return readWhole(this.view, this.start + at.index.offset);
  }

  get committed(): number {
    return readWhole(this.view, this.start + at.committed.offset);
  }

  /** The entry of a frame of kind entry. */
  entry(): Entry {
    const { bytes, view, start } = this;
    const command = start + ENTRY_HEAD_BYTES;
    const key = command + this.number;
    const value = key + view.getUint32(start + at.keyBytes.offset, true);
    const end = value + view.getUint32(start + at.valueBytes.offset, true);
    return {
      command: readText(bytes, command, key),
      key: readText(bytes, key, value),
      value: readText(bytes, value, end),
      term: view.getBigInt64(start + at.term.offset, true),
    };
  }
}

/** Reads the chunks of a snapshot. `seed` is that of `chunkSeed`. */
export class ChunkCursor extends FrameCursor {
  constructor(bytes: Uint8Array, seed: number) {
    super(new LogBytes(bytes), seed, chunkFrames);
  }

  /** Where the content begins. */
  get content(): number {
    return this.start + FRAME_HEAD_BYTES_MIN;
  }
}

/**
 * Frames: the units of the log, as functions over bytes. A frame is an entry at an index, a truncation
 * of the log to a length, or a commit up to a length.
 *
 * Invariants of a valid frame:
 *   1  its length is the head and its three texts, padded with zeros to eight bytes
 *   2  the checksum, seeded with the database and the offset, covers all bytes after itself
 *   3  the length is stored last: a frame without it does not exist
 */

import { crc32 } from "node:zlib";
import type { Entry } from "./entry.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_CONTINUES,
  FRAME_HEAD_BYTES,
  FRAME_MAGIC,
  frameKinds,
  frameLayout as at,
  roundUp,
  seedAt,
} from "./layout.ts";
import { readText, readWhole, textBytes, textBytesMax, writeText, writeWhole } from "./text.ts";

export type FrameKind = typeof frameKinds[keyof typeof frameKinds];

/** The fields of a frame besides its entry. */
export interface Step {
  readonly kind: FrameKind;
  /** Of an entry: its index. Of a truncation: the new length. Of a commit: the present length. */
  readonly index: number;
  /** Number of committed entries once this frame counts. */
  readonly committed: number;
  /** Durable length of the log at the time when the frame was written. */
  readonly durable: number;
  /** More frames of the same step follow. */
  readonly continues: boolean;
}

/** One memory under the three views through which frames are written. */
export interface FrameMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Int32Array;
}

export function frameMemory(bytes: Uint8Array): FrameMemory {
  const { buffer, byteOffset, byteLength } = bytes;
  return {
    bytes,
    view: new DataView(buffer, byteOffset, byteLength),
    words: new Int32Array(buffer, byteOffset, Math.floor(byteLength / 4)),
  };
}

/** Upper bound of the bytes that a frame with this entry, or without one, takes. */
export function frameBytesMax(entry: Entry | null): number {
  if (entry === null) return FRAME_HEAD_BYTES;
  const text = textBytesMax(entry.command) + textBytesMax(entry.key) + textBytesMax(entry.value);
  return roundUp(FRAME_HEAD_BYTES + text, FRAME_ALIGNMENT_BYTES);
}

/** Exact number of bytes that a frame with this entry, or without one, takes. */
export function frameBytesOf(entry: Entry | null): number {
  if (entry === null) return FRAME_HEAD_BYTES;
  const text = textBytes(entry.command) + textBytes(entry.key) + textBytes(entry.value);
  return roundUp(FRAME_HEAD_BYTES + text, FRAME_ALIGNMENT_BYTES);
}

/** Writes a frame into zeroed memory with enough capacity; returns its end. */
export function writeFrame(
  memory: FrameMemory,
  offset: number,
  frame: { readonly seed: number; readonly entry: Entry | null; readonly step: Step },
): number {
  const { bytes, view, words } = memory;
  const { entry, step } = frame;
  let end = offset + FRAME_HEAD_BYTES;
  let commandBytes = 0;
  let keyBytes = 0;
  let valueBytes = 0;
  if (entry === null) {
    view.setBigInt64(offset + at.term.offset, 0n, true);
  } else {
    view.setBigInt64(offset + at.term.offset, entry.term, true);
    const key = writeText(bytes, end, entry.command);
    const value = writeText(bytes, key, entry.key);
    const last = writeText(bytes, value, entry.value);
    commandBytes = key - end;
    keyBytes = value - key;
    valueBytes = last - value;
    end = last;
  }
  while (end % FRAME_ALIGNMENT_BYTES !== 0) bytes[end++] = 0;
  writeWhole(view, offset + at.index.offset, step.index);
  writeWhole(view, offset + at.committed.offset, step.committed);
  writeWhole(view, offset + at.durable.offset, step.durable);
  view.setUint16(offset + at.magic.offset, FRAME_MAGIC, true);
  view.setUint8(offset + at.kind.offset, step.kind);
  view.setUint8(offset + at.flags.offset, step.continues ? FRAME_CONTINUES : 0);
  view.setUint32(offset + at.commandBytes.offset, commandBytes, true);
  view.setUint32(offset + at.keyBytes.offset, keyBytes, true);
  view.setUint32(offset + at.valueBytes.offset, valueBytes, true);
  const checked = bytes.subarray(offset + at.term.offset, end);
  view.setUint32(offset + at.checksum.offset, crc32(checked, seedAt(frame.seed, offset)), true);
  // A frame exists once its length is stored. The atomic store keeps the order.
  Atomics.store(words, offset / 4, end - offset);
  return end;
}

/** Reads frames one at a time without making an object for each. */
export class FrameCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #seed: number;
  offset = 0;
  length = 0;

  constructor(bytes: Uint8Array, seed: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#seed = seed;
  }

  /** Moves to the frame at `offset` if a valid one ends at or before `limit`; else returns false. */
  at(offset: number, limit: number): boolean {
    if (offset + FRAME_HEAD_BYTES > limit) return false;
    const view = this.#view;
    const length = view.getUint32(offset, true);
    if (length < FRAME_HEAD_BYTES || length % FRAME_ALIGNMENT_BYTES !== 0) return false;
    if (length > limit - offset) return false;
    if (view.getUint16(offset + at.magic.offset, true) !== FRAME_MAGIC) return false;
    const text = view.getUint32(offset + at.commandBytes.offset, true) +
      view.getUint32(offset + at.keyBytes.offset, true) +
      view.getUint32(offset + at.valueBytes.offset, true);
    if (roundUp(FRAME_HEAD_BYTES + text, FRAME_ALIGNMENT_BYTES) !== length) return false;
    const checked = this.#bytes.subarray(offset + at.term.offset, offset + length);
    const stored = view.getUint32(offset + at.checksum.offset, true);
    if (crc32(checked, seedAt(this.#seed, offset)) !== stored) return false;
    const kind = view.getUint8(offset + at.kind.offset);
    if (kind < frameKinds.entry || kind > frameKinds.commit) return false;
    this.offset = offset;
    this.length = length;
    return true;
  }

  get end(): number {
    return this.offset + this.length;
  }

  get kind(): FrameKind {
    return this.#view.getUint8(this.offset + at.kind.offset) as FrameKind;
  }

  get continues(): boolean {
    return (this.#view.getUint8(this.offset + at.flags.offset) & FRAME_CONTINUES) !== 0;
  }

  get index(): number {
    return readWhole(this.#view, this.offset + at.index.offset);
  }

  get committed(): number {
    return readWhole(this.#view, this.offset + at.committed.offset);
  }

  get durable(): number {
    return readWhole(this.#view, this.offset + at.durable.offset);
  }

  get term(): bigint {
    return this.#view.getBigInt64(this.offset + at.term.offset, true);
  }

  /** The entry of a frame of kind entry. */
  entry(): Entry {
    const view = this.#view;
    const command = this.offset + FRAME_HEAD_BYTES;
    const key = command + view.getUint32(this.offset + at.commandBytes.offset, true);
    const value = key + view.getUint32(this.offset + at.keyBytes.offset, true);
    const end = value + view.getUint32(this.offset + at.valueBytes.offset, true);
    return {
      command: readText(this.#bytes, command, key),
      key: readText(this.#bytes, key, value),
      value: readText(this.#bytes, value, end),
      term: this.term,
    };
  }
}

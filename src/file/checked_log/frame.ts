/**
 * Frames: what one append puts into a log. Pure functions over bytes.
 *
 * Invariants of a valid frame:
 *   1  its length is at least its head, and a multiple of eight
 *   2  the checksum covers everything behind itself. It is seeded with the owner's seed, the offset and the
 *      length, so a frame of another log, an earlier use or another place never passes
 *   3  the length is stored last: a frame without it does not exist
 */

import { crc32 } from "node:zlib";
import { assert } from "../../base/assert.ts";
import { FRAME_ALIGNMENT_BYTES, FRAME_CONTINUES, frameLayout as at } from "./layout.ts";
import { readWhole, writeWhole } from "./whole_number.ts";

/** Bytes with frames in them, under the views that frames need. They must begin 8-byte aligned. */
export class FrameMemory {
  readonly view: DataView;
  readonly words: Int32Array;

  constructor(readonly bytes: Uint8Array) {
    assert(bytes.byteOffset % FRAME_ALIGNMENT_BYTES === 0, "Frames are aligned in memory");
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  }
}

/** What the owner of a log adds to the common frame. */
export interface FrameShape {
  /** Bytes before the body: the common head, and the owner's behind it. */
  readonly headBytes: number;
  /** Tells frames of this shape from other bytes, before the cost of a checksum. */
  readonly magic: number;
  /**
   * The owner's tests of its own fields, cheap, before the checksum. If one fails, this is not a frame.
   * The whole length of the frame can be read.
   */
  isPlausible(memory: FrameMemory, offset: number, length: number): boolean;
}

/** The fields of the common head that the owner of a log chooses. */
export interface FrameHead {
  readonly kind: number;
  readonly flags: number;
  /** A number for the owner, 32 bits. */
  readonly number: number;
}

/** The seed of a checksum over `length` bytes at `offset`: the same bytes in another place never match. */
export function seedAt(seed: number, offset: number, length: number): number {
  const low = Math.imul((offset / 8) | 0, 0x9e3779b1);
  const high = Math.imul((offset / 2 ** 35) | 0, 0x85ebca6b);
  return (seed ^ low ^ high ^ Math.imul(length, 0xc2b2ae35)) >>> 0;
}

function checksumOf(bytes: Uint8Array, start: number, place: {
  readonly seed: number;
  readonly offset: number;
  readonly length: number;
}): number {
  const checked = bytes.subarray(start + at.durable.offset, start + place.length);
  return crc32(checked, seedAt(place.seed, place.offset, place.length));
}

/**
 * Completes a frame at `start` of `memory`, whose owner's head and body are there already and end at `end`:
 * pads it, and stores the common head, the length last. `offset` is its place in the log. Returns its end.
 */
export function sealFrame(
  memory: FrameMemory,
  start: number,
  frame: FrameHead & {
    readonly magic: number;
    readonly seed: number;
    readonly offset: number;
    readonly end: number;
    readonly durable: number;
  },
): number {
  const { bytes, view } = memory;
  const { seed, offset } = frame;
  let { end } = frame;
  while (end % FRAME_ALIGNMENT_BYTES !== 0) bytes[end++] = 0;
  const length = end - start;
  assert(frame.durable <= offset, "Nothing at or behind a new frame is durable yet");
  writeWhole(view, start + at.durable.offset, frame.durable);
  view.setUint32(start + at.number.offset, frame.number, true);
  view.setUint16(start + at.magic.offset, frame.magic, true);
  view.setUint8(start + at.kind.offset, frame.kind);
  view.setUint8(start + at.flags.offset, frame.flags);
  const checksum = checksumOf(bytes, start, { seed, offset, length });
  view.setUint32(start + at.checksum.offset, checksum, true);
  // A frame exists once its length is stored. The atomic store keeps the order.
  Atomics.store(memory.words, start / 4, length);
  return end;
}

/** Reads the frames of one log, one at a time, without making an object for each. */
export class FrameCursor {
  readonly memory: FrameMemory;
  readonly #seed: number;
  readonly #shape: FrameShape;
  offset = 0;
  length = 0;

  /** `bytes` is the log from its first byte on. */
  constructor(bytes: Uint8Array | FrameMemory, seed: number, shape: FrameShape) {
    this.memory = bytes instanceof FrameMemory ? bytes : new FrameMemory(bytes);
    this.#seed = seed;
    this.#shape = shape;
  }

  /** Moves to the frame at `offset` if a valid one ends at or before `limit`; else returns false. */
  at(offset: number, limit: number): boolean {
    const { memory } = this;
    const { headBytes, magic } = this.#shape;
    if (offset + headBytes > limit) return false;
    const length = Atomics.load(memory.words, offset / 4) >>> 0;
    if (length < headBytes || length % FRAME_ALIGNMENT_BYTES !== 0) return false;
    if (length > limit - offset) return false;
    const { view } = memory;
    if (view.getUint16(offset + at.magic.offset, true) !== magic) return false;
    if (readWhole(view, offset + at.durable.offset) > offset) return false;
    if (!this.#shape.isPlausible(memory, offset, length)) return false;
    const stored = view.getUint32(offset + at.checksum.offset, true);
    const place = { seed: this.#seed, offset, length };
    if (checksumOf(memory.bytes, offset, place) !== stored) return false;
    this.moveTo(offset);
    return true;
  }

  /** Moves to a frame that was found to be valid before. */
  moveTo(offset: number): void {
    this.offset = offset;
    this.length = this.memory.view.getUint32(offset + at.length.offset, true);
  }

  get end(): number {
    return this.offset + this.length;
  }

  /** Durable length of the log when the frame was written. */
  get durable(): number {
    return readWhole(this.memory.view, this.offset + at.durable.offset);
  }

  get number(): number {
    return this.memory.view.getUint32(this.offset + at.number.offset, true);
  }

  get kind(): number {
    return this.memory.view.getUint8(this.offset + at.kind.offset);
  }

  get continues(): boolean {
    return (this.memory.view.getUint8(this.offset + at.flags.offset) & FRAME_CONTINUES) !== 0;
  }
}

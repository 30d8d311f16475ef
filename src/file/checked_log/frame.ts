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

/** Bytes of a log that are looked through together. */
const SKIP_BYTES = 65_536;

/**
 * The bytes of a log, or a buffer in which frames are made, with the views that frames need: here all of
 * them, in memory; in `LogWindow`, a part of a file at a time. They must begin 8-byte aligned.
 */
export class LogBytes {
  readonly view: DataView;
  readonly words: Int32Array;

  constructor(readonly bytes: Uint8Array) {
    assert(bytes.byteOffset % FRAME_ALIGNMENT_BYTES === 0, "Frames are aligned in memory");
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  }

  /** Bytes of the log. */
  get size(): number {
    return this.bytes.length;
  }

  /** Where `length` bytes of the log from `offset` on are in `bytes`, until the next call. */
  at(offset: number, _length: number): number {
    return offset;
  }

  /**
   * The first place from `offset` on, a unit of alignment, that does not begin with zeros; `to` if there is none.
   * Much faster than to look for a frame at each: most of a log may be zeros.
   */
  skipZeros(offset: number, to: number): number {
    const { words } = this;
    for (let from = offset; from < to; from += SKIP_BYTES) {
      const end = Math.min(to, from + SKIP_BYTES);
      const first = this.at(from, end - from) >>> 2;
      const last = first + ((end - from) >>> 2);
      for (let word = first; word < last; word += FRAME_ALIGNMENT_BYTES / 4) {
        if (words[word] !== 0) return from + (word - first) * 4;
      }
    }
    return to;
  }
}

/** What the owner of a log adds to the common frame. */
export interface FrameShape {
  /** Bytes before the body: the common head, and the owner's behind it. */
  readonly headBytes: number;
  /** Tells frames of this shape from other bytes, before the cost of a checksum. */
  readonly magic: number;
  /**
   * The owner's tests of its own fields, cheap, before the checksum. If one fails, this is not a frame. The
   * head begins at `start` of the bytes. A window has the body only after this; it bounds `length`.
   */
  isPlausible(log: LogBytes, start: number, length: number): boolean;
}

/** The seed of a checksum over `length` bytes at `offset`: the same bytes in another place never match. */
export function seedAt(seed: number, offset: number, length: number): number {
  const low = Math.imul((offset / 8) | 0, 0x9e3779b1);
  const high = Math.imul((offset / 2 ** 35) | 0, 0x85ebca6b);
  return (seed ^ low ^ high ^ Math.imul(length, 0xc2b2ae35)) >>> 0;
}

/** The checksum of a frame at `start` of `bytes`. */
function checksumOf(bytes: Uint8Array, start: number, length: number, seed: number): number {
  return crc32(bytes.subarray(start + at.durable.offset, start + length), seed);
}

/**
 * Completes a frame at `start` of `memory`, in which the owner has stored its fields and the body, up to
 * `end`: pads it, and stores the other fields, the length last. `offset` is its place in the log. Returns
 * its end.
 */
export function sealFrame(
  { bytes, view, words }: LogBytes,
  start: number,
  { magic, seed, offset, end, durable }: {
    readonly magic: number;
    readonly seed: number;
    readonly offset: number;
    readonly end: number;
    readonly durable: number;
  },
): number {
  let frameEnd = end;
  while (frameEnd % FRAME_ALIGNMENT_BYTES !== 0) bytes[frameEnd++] = 0;
  const length = frameEnd - start;
  assert(durable <= offset, "Nothing at or behind a new frame is durable yet");
  writeWhole(view, start + at.durable.offset, durable);
  view.setUint16(start + at.magic.offset, magic, true);
  const checksum = checksumOf(bytes, start, length, seedAt(seed, offset, length));
  view.setUint32(start + at.checksum.offset, checksum, true);
  // A frame exists once its length is stored. The atomic store keeps the order.
  Atomics.store(words, start / 4, length);
  return frameEnd;
}

/** Reads the frames of one log, one at a time, without making an object for each. */
export class FrameCursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #seed: number;
  readonly #shape: FrameShape;
  /** Place of the frame in the log. */
  offset = 0;
  /** Place of the frame in `bytes`, until another part of the log is read. */
  start = 0;
  length = 0;

  constructor(readonly log: LogBytes, seed: number, shape: FrameShape) {
    this.bytes = log.bytes;
    this.view = log.view;
    this.#seed = seed;
    this.#shape = shape;
  }

  /** Moves to the frame at `offset` if a valid one ends at or before `limit`; else returns false. */
  at(offset: number, limit: number): boolean {
    const length = this.plausibleLength(offset, limit);
    if (length === 0) return false;
    const start = this.log.at(offset, length);
    const checksum = this.view.getUint32(start + at.checksum.offset, true);
    const seed = seedAt(this.#seed, offset, length);
    if (checksumOf(this.bytes, start, length, seed) !== checksum) return false;
    this.offset = offset;
    this.start = start;
    this.length = length;
    return true;
  }

  /** Length of what may be a frame, with whatever seed: the tests before a checksum. 0 if they fail. */
  plausibleLength(offset: number, limit: number): number {
    const { log, view } = this;
    const shape = this.#shape;
    if (offset + shape.headBytes > limit) return 0;
    const start = log.at(offset, shape.headBytes);
    const length = view.getUint32(start, true);
    if (length < shape.headBytes || length % FRAME_ALIGNMENT_BYTES !== 0) return 0;
    if (length > limit - offset) return 0;
    if (view.getUint16(start + at.magic.offset, true) !== shape.magic) return 0;
    if (readWhole(view, start + at.durable.offset) > offset) return 0;
    return shape.isPlausible(log, start, length) ? length : 0;
  }

  /** Moves to a frame that was found to be valid before. */
  moveTo(offset: number): void {
    const start = this.log.at(offset, this.#shape.headBytes);
    this.length = this.view.getUint32(start, true);
    this.start = this.log.at(offset, this.length);
    this.offset = offset;
  }

  get end(): number {
    return this.offset + this.length;
  }

  /** Durable length of the log when the frame was written. */
  get durable(): number {
    return readWhole(this.view, this.start + at.durable.offset);
  }

  get number(): number {
    return this.view.getUint32(this.start + at.number.offset, true);
  }

  get kind(): number {
    return this.view.getUint8(this.start + at.kind.offset);
  }

  get continues(): boolean {
    return (this.view.getUint8(this.start + at.flags.offset) & FRAME_CONTINUES) !== 0;
  }
}

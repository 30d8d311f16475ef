/**
 * A frame: what one append puts into a log. Pure functions over bytes.
 *
 * A frame exists once it is whole in the file, which its checksum shows; the published tail only says where
 * to look. The checksum is seeded with slot, generation and offset. So neither a frame of an earlier use of the file nor
 * a frame in a wrong place ever passes. A frame is never all zeros, because its length and its magic are
 * not 0.
 */

import { crc32 } from "node:zlib";
import { assert } from "../../base/assert.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  FRAME_HEAD_BYTES,
  FRAME_LENGTH_MAX,
  FRAME_MAGIC,
  frameLayout as at,
  type LogIdentity,
} from "./layout.ts";

const SEED_BYTES = 24;

/** Fields that are zero until they are used. */
const UNUSED = [at.reserved, at.epoch, at.producer, at.sequence, at.origin] as const;
/** The words of these fields that are words: all but the first, which is a half. */
const UNUSED_WORDS = UNUSED.slice(1).flatMap(({ offset, size }) =>
  Array.from({ length: size / 4 }, (_, index) => offset / 4 + index)
);

/** Seals and verifies the frames of one log. It keeps scratch memory, so that neither allocates much. */
export class FrameCodec {
  readonly #seed = new Uint8Array(SEED_BYTES);
  readonly #seedView = new DataView(this.#seed.buffer);

  constructor(readonly identity: LogIdentity) {
    this.#seedView.setUint32(0, identity.slot, true);
    this.#seedView.setBigUint64(8, identity.generation, true);
  }

  /**
   * Writes the head of a frame whose record batch is already behind the head, at `start`: the fields, the
   * checksum, and last the length. `offset` is the place of the frame in its log, `length` that of the
   * whole frame.
   */
  seal(
    { bytes, view }: LogBytes,
    start: number,
    { offset, length, records, durable, wallMs }: {
      readonly offset: number;
      readonly length: number;
      readonly records: number;
      readonly durable: number;
      /** When the batch was appended first: a copy of a frame keeps it. */
      readonly wallMs: bigint;
    },
  ): void {
    assert(offset % FRAME_ALIGNMENT_BYTES === 0, "A frame is aligned");
    assert(length % FRAME_ALIGNMENT_BYTES === 0, "A frame's length is aligned");
    assert(length > FRAME_HEAD_BYTES, "A frame holds records");
    assert(durable <= offset, "Nothing at or behind a new frame is durable yet");
    view.setUint32(start + at.durable.offset, durable, true);
    view.setUint32(start + at.durable.offset + 4, 0, true);
    view.setUint32(start + at.records.offset, records, true);
    view.setUint16(start + at.magic.offset, FRAME_MAGIC, true);
    for (const { offset, size } of UNUSED) {
      bytes.fill(0, start + offset, start + offset + size);
    }
    view.setBigInt64(start + at.wallMs.offset, wallMs, true);
    const body = bytes.subarray(start + at.durable.offset, start + length);
    view.setUint32(start + at.checksum.offset, this.#checksum(body, { offset, length }), true);
    view.setUint32(start + at.length.offset, length, true);
  }

  /**
   * Length of the whole frame at `offset`, or 0 if no valid frame there ends at or before `limit`.
   */
  verify(log: LogBytes, offset: number, limit: number): number {
    const length = plausibleLength(log, offset, limit);
    if (length === 0) return 0;
    const start = log.at(offset, length);
    const sum = log.view.getUint32(start + at.checksum.offset, true);
    const body = log.bytes.subarray(start + at.durable.offset, start + length);
    return sum === this.#checksum(body, { offset, length }) ? length : 0;
  }

  /** The checksum of what follows it in the frame. */
  #checksum(
    body: Uint8Array,
    { offset, length }: { readonly offset: number; readonly length: number },
  ): number {
    this.#seedView.setUint32(4, length, true);
    this.#seedView.setUint32(16, offset, true);
    return crc32(body, crc32(this.#seed));
  }
}

/**
 * The bytes of a log, with the views that frames need: here all of them, in memory; in `LogWindow`, a part
 * of a file at a time. They must begin 8-byte aligned.
 */
export class LogBytes {
  readonly view: DataView;
  readonly words: Int32Array;

  constructor(readonly bytes: Uint8Array) {
    assert(bytes.byteOffset % 8 === 0, "A log starts aligned");
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
}

/**
 * Length of what may be a frame of any use of the log, or 0. Cheap tests that almost nothing but a frame
 * passes, before the cost of a checksum.
 */
export function plausibleLength(log: LogBytes, offset: number, limit: number): number {
  if (offset + FRAME_HEAD_BYTES > limit) return 0;
  const start = log.at(offset, FRAME_HEAD_BYTES);
  const { view } = log;
  const length = view.getUint32(start + at.length.offset, true);
  const isPlausible = length > FRAME_HEAD_BYTES && length % FRAME_ALIGNMENT_BYTES === 0 &&
    length <= FRAME_LENGTH_MAX && offset + length <= limit &&
    view.getUint16(start + at.magic.offset, true) === FRAME_MAGIC &&
    view.getUint16(start + at.reserved.offset, true) === 0 &&
    UNUSED_WORDS.every((word) => log.words[start / 4 + word] === 0) &&
    view.getUint32(start + at.durable.offset, true) <= offset &&
    view.getUint32(start + at.durable.offset + 4, true) === 0;
  return isPlausible ? length : 0;
}

/** The durable length that a verified frame carries. */
export function frameDurable(log: LogBytes, offset: number): number {
  return log.view.getUint32(log.at(offset, FRAME_HEAD_BYTES) + at.durable.offset, true);
}

/** The number of counter records in a verified frame. */
export function frameRecords(log: LogBytes, offset: number): number {
  return log.view.getUint32(log.at(offset, FRAME_HEAD_BYTES) + at.records.offset, true);
}

/** When a verified frame was written, in milliseconds since 1970. */
export function frameWallMs(log: LogBytes, offset: number): bigint {
  return log.view.getBigInt64(log.at(offset, FRAME_HEAD_BYTES) + at.wallMs.offset, true);
}

/** The number of counter records in the batch at `batchStart` of a verified frame. */
export function batchRecords(log: Uint8Array, batchStart: number): number {
  const head = batchStart - FRAME_HEAD_BYTES;
  const view = new DataView(log.buffer, log.byteOffset + head, FRAME_HEAD_BYTES);
  return view.getUint32(at.records.offset, true);
}

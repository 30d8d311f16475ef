/**
 * A frame of a commit log: a record batch behind a head. Pure functions over bytes. What all frames have in
 * common is in `src/file/checked_log/`; there, `number` is the count of counter records here.
 *
 * A frame exists once it is whole in the file, which its checksum shows; the published tail only says where
 * to look. The seed comes from slot and generation, so a frame of an earlier use of the file never passes. A
 * frame is never all zeros, because its length and its magic are not 0.
 */

import { crc32 } from "node:zlib";
import {
  FrameCursor,
  frameLayout,
  type FrameShape,
  type LogBytes,
  readWhole,
} from "../../file/checked_log/mod.ts";
import {
  batchLayout as at,
  FRAME_HEAD_BYTES,
  FRAME_LENGTH_MAX,
  FRAME_MAGIC,
  type LogIdentity,
} from "./layout.ts";

/** Fields that are zero until they are used, with kind and flags, as words of the frame. */
const UNUSED_WORDS = [at.epoch, at.producer, at.sequence, at.origin].flatMap(({ offset, size }) =>
  Array.from({ length: size / 4 }, (_, index) => offset / 4 + index)
);

export const batchFrames: FrameShape = {
  headBytes: FRAME_HEAD_BYTES,
  magic: FRAME_MAGIC,
  isPlausible({ view, words }, start, length) {
    return length > FRAME_HEAD_BYTES && length <= FRAME_LENGTH_MAX &&
      view.getUint16(start + frameLayout.kind.offset, true) === 0 &&
      UNUSED_WORDS.every((word) => words[start / 4 + word] === 0);
  },
};

/**
 * The seed of the checksums of one log. Different generations of a slot have different seeds, and a frame of
 * an earlier one lies at its old offset: so it never passes.
 */
export function batchSeed({ slot, generation }: LogIdentity): number {
  const bytes = new DataView(new ArrayBuffer(12));
  bytes.setUint32(0, slot, true);
  bytes.setBigUint64(4, generation, true);
  return crc32(new Uint8Array(bytes.buffer));
}

/** Writes the owner's head of a frame at `start`, before it is sealed. */
export function writeBatchHead(
  { bytes, view }: LogBytes,
  start: number,
  { records, wallMs }: { readonly records: number; readonly wallMs: number },
): void {
  bytes.fill(0, start + frameLayout.number.offset, start + FRAME_HEAD_BYTES);
  view.setUint32(start + frameLayout.number.offset, records, true);
  view.setBigInt64(start + at.wallMs.offset, BigInt(Math.trunc(wallMs)), true);
}

/** Reads the frames of one use of a log. */
export class BatchCursor extends FrameCursor {
  constructor(log: LogBytes, readonly identity: LogIdentity) {
    super(log, batchSeed(identity), batchFrames);
  }

  /** When the frame was written, in milliseconds since 1970. */
  get wallMs(): number {
    return readWhole(this.view, this.start + at.wallMs.offset);
  }

  /** Where the record batch begins in `bytes`. It ends with the frame. */
  get batchStart(): number {
    return this.start + FRAME_HEAD_BYTES;
  }
}

/** Length of what may be a frame of any use of the log, or 0. */
export function plausibleLength(log: LogBytes, offset: number, limit: number): number {
  return new FrameCursor(log, 0, batchFrames).plausibleLength(offset, limit);
}

/** The number of counter records in the batch at `batchStart` of a verified frame. */
export function batchRecords(log: Uint8Array, batchStart: number): number {
  const head = batchStart - FRAME_HEAD_BYTES;
  const view = new DataView(log.buffer, log.byteOffset + head, FRAME_HEAD_BYTES);
  return view.getUint32(frameLayout.number.offset, true);
}

/**
 * Batches on the write port, after a hello: a head of 24 bytes and a record batch in the log's own form, and
 * answers of 24 bytes. README.md draws them, and has the table of the answers.
 */

import { crc32 } from "node:zlib";
import { RECORD_ALIGNMENT, RECORD_NAME_OFFSET } from "./record.ts";

export const batchHeadLayout = {
  bytes: { offset: 0, size: 4 },
  checksum: { offset: 4, size: 4 },
  sequence: { offset: 8, size: 8 },
  records: { offset: 16, size: 4 },
  flags: { offset: 20, size: 4 },
} as const;
export const BATCH_HEAD_BYTES = 24;

export const batchAnswerLayout = {
  sequence: { offset: 0, size: 8 },
  status: { offset: 8, size: 4 },
  reason: { offset: 12, size: 4 },
  detail: { offset: 16, size: 8 },
} as const;
export const BATCH_ANSWER_BYTES = 24;

/** Most bytes of the records of a batch, and how many fewer than a log has. */
const BATCH_BYTES_MAX = 512 * 1024;
const LOG_BYTES_SPARED = 8 * 1024;

/**
 * Most keyspaces of a batch. A frame may define more. But each may be looked up among a million, and the event loop
 * is not given up within a batch.
 */
export const BATCH_DEFINITIONS_MAX = 1024;

/** A batch has one command in the place of records. */
export const BATCH_IS_COMMAND = 1;

/** Statuses of an answer. From `badHead` on the connection ends. */
export const batchStatuses = {
  taken: 0,
  badRecord: 1,
  tooManyKeyspaces: 2,
  afterRefusal: 3,
  commandNotTaken: 4,
  badHead: 16,
  badChecksum: 17,
  gap: 18,
} as const;

/** Why a head is bad: the reasons of an answer with `badHead`. */
export const headReasons = { bytes: 1, sequence: 2, records: 3, flags: 4 } as const;

/** Most bytes of the records of a batch, for logs of this size. */
export function batchBytesMax(logSize: number): number {
  return Math.min(BATCH_BYTES_MAX, logSize - LOG_BYTES_SPARED);
}

/** The head of a batch, read without allocating. */
export class BatchHead {
  /** Bytes behind the head. */
  bytes = 0;
  checksum = 0;
  sequence = 0;
  /** Counter records, without definitions. */
  records = 0;
  flags = 0;

  /** `bytesMax` is what the server has said in its welcome. */
  constructor(readonly bytesMax: number) {}

  /** Reads the head at `start`; the caller has its 24 bytes. Returns 0, or why it is bad. */
  read(view: DataView, start: number): number {
    const at = batchHeadLayout;
    this.bytes = view.getUint32(start + at.bytes.offset, true);
    this.checksum = view.getUint32(start + at.checksum.offset, true);
    const high = view.getUint32(start + at.sequence.offset + 4, true);
    this.sequence = high * 2 ** 32 + view.getUint32(start + at.sequence.offset, true);
    this.records = view.getUint32(start + at.records.offset, true);
    this.flags = view.getUint32(start + at.flags.offset, true);
    if (this.bytes > this.bytesMax || this.bytes % RECORD_ALIGNMENT !== 0) return headReasons.bytes;
    if (this.sequence === 0 || high >= 2 ** 21) return headReasons.sequence;
    if ((this.flags & ~BATCH_IS_COMMAND) !== 0) return headReasons.flags;
    const recordsMax = this.isCommand ? 0 : this.bytes / RECORD_NAME_OFFSET;
    return this.records > recordsMax ? headReasons.records : 0;
  }

  get isCommand(): boolean {
    return (this.flags & BATCH_IS_COMMAND) !== 0;
  }
}

/** The checksum of the batch whose head begins at `start`, over everything behind the checksum itself. */
export function batchChecksum(batch: Uint8Array, start: number, end: number): number {
  return crc32(batch.subarray(start + batchHeadLayout.sequence.offset, end));
}

/** Makes the batch with these records, which are a whole number of records. */
export function encodeBatch(
  { sequence, counters, flags = 0, records }: {
    readonly sequence: number;
    /** Counter records among the records, without definitions. */
    readonly counters: number;
    readonly flags?: number;
    readonly records: Uint8Array;
  },
): Uint8Array<ArrayBuffer> {
  const at = batchHeadLayout;
  const bytes = new Uint8Array(BATCH_HEAD_BYTES + records.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(at.bytes.offset, records.length, true);
  view.setBigUint64(at.sequence.offset, BigInt(sequence), true);
  view.setUint32(at.records.offset, counters, true);
  view.setUint32(at.flags.offset, flags, true);
  bytes.set(records, BATCH_HEAD_BYTES);
  view.setUint32(at.checksum.offset, batchChecksum(bytes, 0, bytes.length), true);
  return bytes;
}

/** What a server says of a batch; with `taken`, of all batches up to it that were not refused. */
export interface BatchAnswer {
  readonly sequence: number;
  /** One of `batchStatuses`. */
  readonly status: number;
  /** Which rule was broken; 0 if none was. */
  readonly reason: number;
  /** What the table of the answers says. */
  readonly detail: number;
}

/** Writes one answer at `offset`. */
export function encodeBatchAnswer(view: DataView, offset: number, answer: BatchAnswer): void {
  const at = batchAnswerLayout;
  view.setBigUint64(offset + at.sequence.offset, BigInt(answer.sequence), true);
  view.setUint32(offset + at.status.offset, answer.status, true);
  view.setUint32(offset + at.reason.offset, answer.reason, true);
  view.setBigInt64(offset + at.detail.offset, BigInt(answer.detail), true);
}

export function decodeBatchAnswer(bytes: Uint8Array, offset: number): BatchAnswer {
  const at = batchAnswerLayout;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, BATCH_ANSWER_BYTES);
  return {
    sequence: Number(view.getBigUint64(at.sequence.offset, true)),
    status: view.getUint32(at.status.offset, true),
    reason: view.getUint32(at.reason.offset, true),
    detail: Number(view.getBigInt64(at.detail.offset, true)),
  };
}

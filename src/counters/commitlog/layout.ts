/**
 * The layout of a commit log, drawn in README.md. Offsets are in bytes, integers are little-endian. Each
 * offset is the sum of the fields before it.
 */

export const LOG_MAGIC = new TextEncoder().encode("countdL1");
export const LOG_VERSION = 2;

/** The head page: two copies of the header, then zeros. Frames follow it. */
export const HEAD_PAGE_BYTES = 4096;
export const HEADER_COPY_BYTES = 512;

/** From version 2 on the place of magic, version, feature words and checksum never changes. */
export const headerLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  compat: { offset: 12, size: 4 },
  incompat: { offset: 16, size: 4 },
  slot: { offset: 20, size: 4 },
  generation: { offset: 24, size: 8 },
  sequence: { offset: 32, size: 8 },
  state: { offset: 40, size: 4 },
  reserved: { offset: 44, size: 4 },
  logSize: { offset: 48, size: 8 },
  length: { offset: 56, size: 8 },
  durable: { offset: 64, size: 8 },
  claimedWallMs: { offset: 72, size: 8 },
  records: { offset: 80, size: 8 },
  order: { offset: 88, size: 8 },
  claimEpoch: { offset: 96, size: 8 },
  origin: { offset: 104, size: 8 },
  originCrc: { offset: 112, size: 4 },
  zeros: { offset: 116, size: 392 },
  checksum: { offset: 508, size: 4 },
} as const;

/** What a commit log adds to a frame of the checked log, whose `number` is the count of counter records. */
export const batchLayout = {
  epoch: { offset: 24, size: 8 },
  wallMs: { offset: 32, size: 8 },
  producer: { offset: 40, size: 16 },
  sequence: { offset: 56, size: 8 },
  origin: { offset: 64, size: 8 },
  batch: { offset: 72, size: 0 },
} as const;

export const FRAME_HEAD_BYTES = 72;
export const FRAME_MAGIC = 0xc0de;

/** Longest frame. The bound keeps a reader's first checksum short, and what recovery leaves out small. */
export const FRAME_LENGTH_MAX = 2 ** 20;

/** What identifies a log: the slot is the file, the generation is the use of it. */
export interface LogIdentity {
  readonly slot: number;
  readonly generation: bigint;
}

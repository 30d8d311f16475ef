/**
 * Offsets and sizes in the two files of a database (README.md of this wing draws them). Offsets are in
 * bytes, integers are little-endian. Each offset is the sum of the sizes of the fields before it.
 */

/** First page of either file. Frames of the log and regions of the map follow it. */
export const HEAD_PAGE_BYTES = 4096;
export const HEADER_COPY_BYTES = 512;
/** Each file carries two copies of its header, so that one torn store leaves the other whole. */
export const HEADER_OFFSETS = [0, HEADER_COPY_BYTES] as const;

export const LOG_MAGIC = new TextEncoder().encode("countdDL");
export const MAP_MAGIC = new TextEncoder().encode("countdDM");
export const FORMAT_VERSION = 2;

/** Written once, when the log is made; both copies are equal. The first six fields are those of the map. */
export const logHeaderLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  checksum: { offset: 12, size: 4 },
  compat: { offset: 16, size: 4 },
  incompat: { offset: 20, size: 4 },
  identity: { offset: 24, size: 8 },
  baseKeys: { offset: 32, size: 8 },
  baseEntries: { offset: 40, size: 8 },
  zeros: { offset: 48, size: 464 },
} as const;

/** Stored at a clean close: the durable length of the log. Zeros follow up to the end of the page. */
export const logMarkLayout = {
  durable: { offset: 1024, size: 8 },
  checksum: { offset: 1032, size: 4 },
  zeros: { offset: 1036, size: 3060 },
} as const;

/** What an entry, a truncation or a commit adds to a frame of the checked log. */
export const entryLayout = {
  term: { offset: 24, size: 8 },
  index: { offset: 32, size: 8 },
  committed: { offset: 40, size: 8 },
  keyBytes: { offset: 48, size: 4 },
  valueBytes: { offset: 52, size: 4 },
  text: { offset: 56, size: 0 },
} as const;
export const ENTRY_HEAD_BYTES = 56;
export const ENTRY_MAGIC = 0xdb1e;
export const frameKinds = { entry: 1, truncation: 2, commit: 3 } as const;

/** The map file: header copies alternate by generation; the newest valid one counts. */
export const mapHeaderLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  checksum: { offset: 12, size: 4 },
  compat: { offset: 16, size: 4 },
  incompat: { offset: 20, size: 4 },
  identity: { offset: 24, size: 8 },
  generation: { offset: 32, size: 8 },
  regionOffset: { offset: 40, size: 8 },
  regionBytes: { offset: 48, size: 8 },
  keys: { offset: 56, size: 8 },
  replayFrom: { offset: 64, size: 8 },
  logMin: { offset: 72, size: 8 },
  entries: { offset: 80, size: 8 },
  committed: { offset: 88, size: 8 },
  zeros: { offset: 96, size: 416 },
} as const;

/** A chunk is a frame of the checked log without a head of its own. */
export const CHUNK_MAGIC = 0xdb2c;
export const chunkKinds = { records: 1, entryBlocks: 2, logSums: 3 } as const;

/** A record of the map in a chunk: two lengths, then key and value, packed. */
export const RECORD_HEAD_BYTES = 8;
/** First entry and offset of a block of entries, or end and checksum of a stretch of the log. */
export const PAIR_BYTES = 16;

/** A chunk is complete when it has this size. A large record makes a larger chunk. */
export const CHUNK_BYTES_MIN = 256 * 1024;
/** A block of entries, and a stretch of log with one checksum, are complete when they have this size. */
export const BLOCK_BYTES_MIN = 64 * 1024;

/** Size of either file when it first grows. */
export const FILE_BYTES_MIN = 64 * 1024;
/** Files grow by doubling up to this step, then by this step. */
export const GROWTH_BYTES_MAX = 2 ** 30;
/** Most bytes of command, key and value of one entry together: the limit of a JavaScript string. */
export const ENTRY_BYTES_MAX = 2 ** 29 - 4096;

/** Which database a file belongs to, and the 32 bits of it that checksums are seeded with. */
export interface Identity {
  readonly value: bigint;
  readonly seed: number;
}

export function identityOf(value: bigint): Identity {
  return { value, seed: Number((value ^ (value >> 32n)) & 0xffff_ffffn) };
}

export function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}

/** The size to which a file of `size` bytes grows so that it reaches `end`. */
export function grownSize(size: number, end: number): number {
  let grown = Math.max(roundUp(size, HEAD_PAGE_BYTES), FILE_BYTES_MIN);
  while (grown < end) grown += Math.min(grown, GROWTH_BYTES_MAX);
  return grown;
}

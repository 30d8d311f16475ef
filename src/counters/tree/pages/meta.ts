/**
 * The meta blocks: the one place that says which pages belong to the keyspace.
 *
 * The file begins with four blocks of one size, which each block has inside. Transaction T is in block T mod 2,
 * and a copy of it in block T mod 2 + 2. A commit overwrites the two blocks of the transaction before the last
 * one, never those of the last. A block is at least a sector, which is what a disk writes as a whole. So a torn
 * write leaves the last transaction whole. A block that goes bad later has a copy, and is never mistaken for a
 * torn write, which would silently lose a commit. In a small file all four blocks share one block of 4 KiB of the
 * disk, so there the copies help against a bad sector of 512 bytes only.
 *
 * Invariants: 1. the newest valid block is the file's content; 2. its pages were durable before it was
 * written; 3. it changes counters and applied generations together; 4. a whole block of another format is an
 * error of its own, never damage.
 */

import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { assert } from "../../../base/assert.ts";
import { CorruptError } from "../../../base/errors.ts";
import {
  blankBlock,
  checkFormat,
  type Kept,
  keptOf,
  type KnownFormat,
} from "../../../base/format.ts";
import { getUint53, LEVEL_MAX, type PageFile, pageSizeIsLegal, setUint53 } from "./page.ts";
import type { Root } from "./root.ts";

/** The sizes of a block. The small one is a sector: two transactions never share one. */
export const META_BLOCK_BYTES_SMALL = 512;
export const META_BLOCK_BYTES_MAX = 4096;
const META_BLOCK_SIZES = [META_BLOCK_BYTES_SMALL, META_BLOCK_BYTES_MAX];
export const META_BLOCKS = 4;

export const NAME_BYTES_MAX = 256;
const META_MAGIC = Buffer.from("countdks");

/** What this countd reads; version 1 had no feature words. */
const KNOWN_FORMAT: KnownFormat = {
  subject: "Keyspace file",
  version: 2,
  incompat: 0,
  oldAdvice:
    "print its counters with the countd that wrote them, and load them into a new directory: " +
    "OLD/countd top NAME --data DIR --length 999999999 | " +
    `awk -F'\\t' '{ print "NAME\\t" $2 "\\t" $1 }' | countd load`,
};

export const metaLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  checksum: { offset: 12, size: 4 },
  compat: { offset: 16, size: 4 },
  incompat: { offset: 20, size: 4 },
  blockSize: { offset: 24, size: 4 },
  pageSize: { offset: 28, size: 4 },
  transaction: { offset: 32, size: 8 },
  incarnation: { offset: 40, size: 8 },
  pageCount: { offset: 48, size: 4 },
  generationSlots: { offset: 52, size: 4 },
  saturated: { offset: 56, size: 8 },
  sum: { offset: 64, size: 16 },
  keyRoot: { offset: 80, size: 24 },
  rankRoot: { offset: 104, size: 24 },
  generationsPage: { offset: 128, size: 4 },
  nameLength: { offset: 132, size: 2 },
  zeros: { offset: 134, size: 2 },
  generationsBirth: { offset: 136, size: 8 },
  reserved: { offset: 144, size: 16 },
  name: { offset: 160, size: 0 },
} as const;

export const rootLayout = {
  number: { offset: 0, size: 4 },
  level: { offset: 4, size: 4 },
  birth: { offset: 8, size: 8 },
  rows: { offset: 16, size: 8 },
} as const;

/** The sizes that a file keeps from its making on. */
export interface FileShape {
  readonly blockBytes: number;
  readonly pageSize: number;
}

export interface Meta extends FileShape, Kept {
  readonly transaction: number;
  /** High-water mark: pages in use have smaller numbers. */
  readonly pageCount: number;
  /** How often a sum was clamped to a limit of int64. */
  readonly saturated: bigint;
  /** The sum of all counters, in 128 bits. */
  readonly sum: bigint;
  readonly keyRoot: Root;
  readonly rankRoot: Root;
  /** The number of slots of which this file keeps a generation: 0 … slots − 1. */
  readonly generationSlots: number;
  /** Generations of the first slots, which are in the block itself. */
  readonly firstGenerations: BigUint64Array;
  /** First page of the generations beyond `metaGenerationsMax`; number 0 if all fit the block. */
  readonly generationsPage: { readonly number: number; readonly birth: number };
  readonly name: Uint8Array;
}

/** The first page number behind the meta blocks. */
export function firstPageOf({ blockBytes, pageSize }: FileShape): number {
  return Math.ceil(META_BLOCKS * blockBytes / pageSize);
}

/** The two places of a transaction's block. */
export function metaOffsets(
  transaction: number,
  { blockBytes }: FileShape,
): readonly [number, number] {
  const block = transaction % 2;
  return [block * blockBytes, (block + 2) * blockBytes];
}

function generationsOffset(nameLength: number): number {
  return metaLayout.name.offset + (nameLength + 7 & ~7);
}

/**
 * Slots whose generations are in the meta block, behind the name; those of higher slots are in pages
 * (`applied_generations.ts`).
 */
export function metaGenerationsMax(
  { blockBytes, name }: { readonly blockBytes: number; readonly name: Uint8Array },
): number {
  return (blockBytes - generationsOffset(name.length)) / 8;
}

export function encodeMeta(meta: Meta): Uint8Array {
  const { name, firstGenerations } = meta;
  assert(name.length >= 1, "A keyspace has a name");
  assert(name.length <= NAME_BYTES_MAX, "A name fits its field");
  assert(firstGenerations.length <= metaGenerationsMax(meta), "Generations fit their field");
  const bytes = blankBlock(meta.blockBytes, meta);
  const view = new DataView(bytes.buffer);
  bytes.set(META_MAGIC, metaLayout.magic.offset);
  view.setUint32(metaLayout.version.offset, KNOWN_FORMAT.version, true);
  view.setUint32(metaLayout.blockSize.offset, meta.blockBytes, true);
  view.setUint32(metaLayout.pageSize.offset, meta.pageSize, true);
  setUint53(view, metaLayout.transaction.offset, meta.transaction);
  view.setUint32(metaLayout.pageCount.offset, meta.pageCount, true);
  view.setUint32(metaLayout.generationSlots.offset, meta.generationSlots, true);
  view.setBigUint64(metaLayout.saturated.offset, meta.saturated, true);
  view.setBigUint64(metaLayout.sum.offset, meta.sum, true);
  view.setBigInt64(metaLayout.sum.offset + 8, meta.sum >> 64n, true);
  setRoot(view, metaLayout.keyRoot.offset, meta.keyRoot);
  setRoot(view, metaLayout.rankRoot.offset, meta.rankRoot);
  view.setUint32(metaLayout.generationsPage.offset, meta.generationsPage.number, true);
  view.setUint16(metaLayout.nameLength.offset, name.length, true);
  setUint53(view, metaLayout.generationsBirth.offset, meta.generationsPage.birth);
  bytes.set(name, metaLayout.name.offset);
  const generationsAt = generationsOffset(name.length);
  firstGenerations.forEach((generation, slot) => {
    view.setBigUint64(generationsAt + 8 * slot, generation, true);
  });
  view.setUint32(metaLayout.checksum.offset, metaChecksum(bytes), true);
  return bytes;
}

/**
 * Decodes the block at the beginning of `bytes`; returns a string that says what is wrong if it is not valid.
 * Throws `NewerFormatError` and `OldFormatError` for a whole block of another format, whatever its size.
 */
function decodeMeta(bytes: Uint8Array, blockBytes: number, path: string): Meta | string {
  if (Buffer.compare(bytes.subarray(0, META_MAGIC.length), META_MAGIC) !== 0) return "wrong magic";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(metaLayout.version.offset, true);
  // All versions have the fields up to the block size; only the first had none.
  const ownBytes = version === 1
    ? META_BLOCK_BYTES_MAX
    : view.getUint32(metaLayout.blockSize.offset, true);
  if (ownBytes < META_BLOCK_BYTES_SMALL || ownBytes > bytes.length) return "wrong block size";
  const block = bytes.subarray(0, ownBytes);
  if (view.getUint32(metaLayout.checksum.offset, true) !== metaChecksum(block)) {
    return "wrong checksum";
  }
  const incompat = version === 1 ? 0 : view.getUint32(metaLayout.incompat.offset, true);
  checkFormat(path, { version, incompat }, KNOWN_FORMAT);
  if (ownBytes !== blockBytes) return "wrong block size";
  return decodeWhole(block, view);
}

/** Decodes a block whose checksum and format are right. */
function decodeWhole(bytes: Uint8Array, view: DataView): Meta | string {
  const blockBytes = bytes.length;
  const transaction = getUint53(view, metaLayout.transaction.offset);
  if (!Number.isSafeInteger(transaction)) return "transaction is out of range";
  const pageSize = view.getUint32(metaLayout.pageSize.offset, true);
  if (!pageSizeIsLegal(pageSize)) return `page size ${pageSize} is not legal`;
  const pageCount = view.getUint32(metaLayout.pageCount.offset, true);
  const firstPage = firstPageOf({ blockBytes, pageSize });
  if (pageCount < firstPage) return "page count is out of range";
  const keyRoot = getRoot(view, metaLayout.keyRoot.offset);
  const rankRoot = getRoot(view, metaLayout.rankRoot.offset);
  for (const root of [keyRoot, rankRoot]) {
    if (!Number.isSafeInteger(root.rows)) return "root has a row count out of range";
    if (root.rows === 0) continue;
    if (root.number < firstPage) return "root lies in the meta blocks";
    if (root.number >= pageCount) return "root lies past the last page";
    // Written so that NaN, the result for a number that is too great, fails as well.
    if (!(root.birth <= transaction)) return "root has a birth after its transaction";
    if (root.level > LEVEL_MAX) return "root has a level out of range";
  }
  if (keyRoot.rows !== rankRoot.rows) return "the two orders hold different numbers of counters";
  const kept = keptOf(view.getUint32(metaLayout.compat.offset, true), bytes);
  // With an unknown feature, what is not used here may be in use.
  const isZero = kept.kept === undefined ? hasZeros : () => true;
  if (!isZero(bytes, metaLayout.incarnation.offset, metaLayout.pageCount.offset)) {
    return "the incarnation is in use";
  }
  const nameLength = view.getUint16(metaLayout.nameLength.offset, true);
  if (nameLength === 0 || nameLength > NAME_BYTES_MAX) return "name length is out of range";
  const nameEnd = metaLayout.name.offset + nameLength;
  const name = bytes.slice(metaLayout.name.offset, nameEnd);
  if (name.includes(0)) return "name holds NUL";
  const generationSlots = view.getUint32(metaLayout.generationSlots.offset, true);
  const generationsPage = {
    number: view.getUint32(metaLayout.generationsPage.offset, true),
    birth: getUint53(view, metaLayout.generationsBirth.offset),
  };
  const slotsMax = metaGenerationsMax({ blockBytes, name });
  if (generationSlots > slotsMax !== generationsPage.number > 0) {
    return "the number of generations and their page disagree";
  }
  if (generationsPage.number >= pageCount) return "generations lie past the last page";
  if (!(generationsPage.birth <= transaction)) {
    return "generations have a birth after their transaction";
  }
  const firstGenerations = new BigUint64Array(Math.min(generationSlots, slotsMax));
  const generationsAt = generationsOffset(nameLength);
  const end = generationsAt + 8 * firstGenerations.length;
  const isRestZero = isZero(bytes, metaLayout.zeros.offset, metaLayout.generationsBirth.offset) &&
    isZero(bytes, metaLayout.reserved.offset, metaLayout.name.offset) &&
    isZero(bytes, nameEnd, generationsAt) && isZero(bytes, end, blockBytes);
  if (!isRestZero) return "reserved bytes are not 0";
  for (let slot = 0; slot < firstGenerations.length; slot++) {
    firstGenerations[slot] = view.getBigUint64(generationsAt + 8 * slot, true);
  }
  const sum = view.getBigUint64(metaLayout.sum.offset, true) |
    (view.getBigInt64(metaLayout.sum.offset + 8, true) << 64n);
  return {
    blockBytes,
    transaction,
    ...kept,
    pageSize,
    pageCount,
    saturated: view.getBigUint64(metaLayout.saturated.offset, true),
    sum,
    keyRoot,
    rankRoot,
    generationSlots,
    firstGenerations,
    generationsPage,
    name,
  };
}

const ZEROS = new Uint8Array(META_BLOCK_BYTES_MAX);

function hasZeros(bytes: Uint8Array, start: number, end: number): boolean {
  return Buffer.compare(bytes.subarray(start, end), ZEROS.subarray(0, end - start)) === 0;
}

/** The meta blocks of a file. */
export interface MetaBlocks {
  /** The file's content. */
  readonly newest: Meta;
  /** The transaction before it, if its block is still valid. */
  readonly previous: Meta | null;
  /** Blocks that are not valid, with the reason. */
  readonly problems: readonly { readonly block: number; readonly problem: string }[];
}

/** A buffer for the meta blocks of a file whose shape is known. */
export function metaBuffer({ blockBytes }: FileShape): Uint8Array {
  return new Uint8Array(META_BLOCKS * blockBytes);
}

/**
 * Reads the blocks; into a `metaBuffer` if the size of a block is known. If it is not, the small one is tried
 * first, so that a bad sector under a page of a small file does not hide the blocks. Throws `CorruptError` if
 * no block is valid, and `NewerFormatError` and `OldFormatError` if one is whole and of another format.
 */
export function readMetaBlocks(file: PageFile, known?: Uint8Array): MetaBlocks {
  const { path } = file;
  let problem = "";
  for (
    const into of known === undefined
      ? META_BLOCK_SIZES.map((blockBytes) => new Uint8Array(META_BLOCKS * blockBytes))
      : [known]
  ) {
    const bytes = file.read(into, 0);
    if (bytes < into.length) {
      problem ||= `the file has ${bytes} bytes, and its head alone needs ${into.length}`;
      break;
    }
    const blocks = decodeMetaBlocks(into, path);
    if (blocks.newest !== null) return blocks as MetaBlocks;
    problem = blocks.problems[0]?.problem ?? "no block";
  }
  throw new CorruptError(`No valid meta block in ${path}: ${problem}`, { path, offset: 0 });
}

/** What the head of a file says of the keyspace. */
export interface TreeHead {
  readonly name: Uint8Array;
  readonly counters: number;
}

/** As `readMetaBlocks`. */
export function readTreeHead(file: PageFile): TreeHead {
  const { name, keyRoot } = readMetaBlocks(file).newest;
  return { name, counters: keyRoot.rows };
}

/** Whether the block at `offset` still begins as `block` does: with its format, checksum and transaction. */
export function hasBlock(file: PageFile, offset: number, block: Uint8Array): boolean {
  const head = block.subarray(0, metaLayout.incarnation.offset);
  const found = new Uint8Array(head.length);
  return file.read(found, offset) === found.length && Buffer.compare(found, head) === 0;
}

function decodeMetaBlocks(
  bytes: Uint8Array,
  path: string,
): Omit<MetaBlocks, "newest"> & { readonly newest: Meta | null } {
  const blockBytes = bytes.length / META_BLOCKS;
  const metas: Meta[] = [];
  const problems: { block: number; problem: string }[] = [];
  const decoded: (Meta | string)[] = [];
  for (let block = 0; block < META_BLOCKS; block++) {
    const from = block * blockBytes;
    // Mostly a block and its copy are the same bytes, and one decoding is enough.
    const original = bytes.subarray(from - 2 * blockBytes, from - blockBytes);
    const isCopy = block >= 2 &&
      Buffer.compare(original, bytes.subarray(from, from + blockBytes)) === 0;
    const meta = isCopy ? decoded[block - 2]! : decodeMeta(bytes.subarray(from), blockBytes, path);
    decoded.push(meta);
    if (typeof meta === "string") problems.push({ block, problem: meta });
    else if (meta.transaction % 2 !== block % 2) {
      problems.push({ block, problem: "transaction is in the wrong block" });
    } else metas.push(meta);
  }
  metas.sort((a, b) => b.transaction - a.transaction);
  const newest = metas[0] ?? null;
  const previous = metas.find(({ transaction }) => transaction + 1 === newest?.transaction) ?? null;
  return { newest, previous, problems };
}

function metaChecksum(bytes: Uint8Array): number {
  const head = crc32(bytes.subarray(0, metaLayout.checksum.offset));
  return crc32(bytes.subarray(metaLayout.checksum.offset + 4), head);
}

function setRoot(view: DataView, offset: number, root: Root): void {
  view.setUint32(offset + rootLayout.number.offset, root.number, true);
  view.setUint32(offset + rootLayout.level.offset, root.level, true);
  setUint53(view, offset + rootLayout.birth.offset, root.birth);
  setUint53(view, offset + rootLayout.rows.offset, root.rows);
}

function getRoot(view: DataView, offset: number): Root {
  return {
    number: view.getUint32(offset + rootLayout.number.offset, true),
    level: view.getUint32(offset + rootLayout.level.offset, true),
    birth: getUint53(view, offset + rootLayout.birth.offset),
    rows: getUint53(view, offset + rootLayout.rows.offset),
  };
}

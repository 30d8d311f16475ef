/**
 * The meta blocks: the one place that says which pages belong to the keyspace.
 *
 * The file begins with four blocks of 4096 bytes. Transaction T is in block T mod 2, and a copy of it in
 * block T mod 2 + 2. A commit overwrites the two blocks of the transaction before the last one, never those
 * of the last. So a torn write leaves the last transaction whole. A block that goes bad later has a copy,
 * and is never mistaken for a torn write, which would silently lose a commit.
 *
 * Invariants: 1. the newest valid block is the file's content; 2. its pages were durable before it was
 * written; 3. it changes counters and applied generations together.
 */

import { crc32 } from "node:zlib";
import { assert } from "../../../base/assert.ts";
import { CorruptError } from "../../../base/errors.ts";
import type { StoredFile } from "../../../file/mod.ts";
import { getUint53, LEVEL_MAX, pageSizeIsLegal, setUint53 } from "./page.ts";
import type { Root } from "./root.ts";

export const META_BLOCK_BYTES = 4096;
export const META_BLOCKS = 4;
export const META_BYTES = META_BLOCK_BYTES * META_BLOCKS;

export const FORMAT_VERSION = 1;
export const NAME_BYTES_MAX = 256;
const META_MAGIC = "countdks";

export const metaLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  checksum: { offset: 12, size: 4 },
  transaction: { offset: 16, size: 8 },
  pageSize: { offset: 24, size: 4 },
  pageCount: { offset: 28, size: 4 },
  saturated: { offset: 32, size: 8 },
  keyRoot: { offset: 40, size: 24 },
  rankRoot: { offset: 64, size: 24 },
  deltaKeyRoot: { offset: 88, size: 24 },
  deltaRankRoot: { offset: 112, size: 24 },
  deltaGoneRoot: { offset: 136, size: 24 },
  generationsPage: { offset: 160, size: 4 },
  generationSlots: { offset: 164, size: 4 },
  generationsBirth: { offset: 168, size: 8 },
  nameLength: { offset: 176, size: 2 },
  reserved: { offset: 178, size: 78 },
  name: { offset: 256, size: 256 },
  generations: { offset: 512, size: 3584 },
} as const;

export const rootLayout = {
  number: { offset: 0, size: 4 },
  level: { offset: 4, size: 4 },
  birth: { offset: 8, size: 8 },
  rows: { offset: 16, size: 8 },
} as const;

const META_MAGIC_OFFSET = metaLayout.magic.offset;
const META_VERSION_OFFSET = metaLayout.version.offset;
const META_CHECKSUM_OFFSET = metaLayout.checksum.offset;
const META_TRANSACTION_OFFSET = metaLayout.transaction.offset;
const META_PAGE_SIZE_OFFSET = metaLayout.pageSize.offset;
const META_PAGE_COUNT_OFFSET = metaLayout.pageCount.offset;
const META_SATURATED_OFFSET = metaLayout.saturated.offset;
const META_KEY_ROOT_OFFSET = metaLayout.keyRoot.offset;
const META_RANK_ROOT_OFFSET = metaLayout.rankRoot.offset;
const META_DELTA_KEY_ROOT_OFFSET = metaLayout.deltaKeyRoot.offset;
const META_GENERATIONS_PAGE_OFFSET = metaLayout.generationsPage.offset;
const META_GENERATION_SLOTS_OFFSET = metaLayout.generationSlots.offset;
const META_GENERATIONS_BIRTH_OFFSET = metaLayout.generationsBirth.offset;
const META_NAME_LENGTH_OFFSET = metaLayout.nameLength.offset;
const META_RESERVED_OFFSET = metaLayout.reserved.offset;
const META_NAME_OFFSET = metaLayout.name.offset;
const META_GENERATIONS_OFFSET = metaLayout.generations.offset;
/**
 * Slots whose generations are in the meta block; those of higher slots are in pages
 * (`applied_generations.ts`).
 */
export const META_GENERATIONS_MAX = (META_BLOCK_BYTES - META_GENERATIONS_OFFSET) / 8;

export interface Meta {
  readonly transaction: number;
  readonly pageSize: number;
  /** High-water mark: pages in use have smaller numbers. */
  readonly pageCount: number;
  /** How often a sum was clamped to a limit of int64. */
  readonly saturated: bigint;
  readonly keyRoot: Root;
  readonly rankRoot: Root;
  /** The number of slots of which this file keeps a generation: 0 … slots − 1. */
  readonly generationSlots: number;
  /** Generations of the first slots, which are in the block itself. */
  readonly firstGenerations: BigUint64Array;
  /** First page of the generations beyond `META_GENERATIONS_MAX`; number 0 if all fit the block. */
  readonly generationsPage: { readonly number: number; readonly birth: number };
  readonly name: Uint8Array;
}

/** The first page number behind the meta blocks. */
export function firstPageOf(pageSize: number): number {
  return Math.ceil(META_BYTES / pageSize);
}

/** The two places of a transaction's block. */
export function metaOffsets(transaction: number): readonly [number, number] {
  const block = transaction % 2;
  return [block * META_BLOCK_BYTES, (block + 2) * META_BLOCK_BYTES];
}

export function encodeMeta(meta: Meta): Uint8Array {
  assert(meta.name.length >= 1, "A keyspace has a name");
  assert(meta.name.length <= NAME_BYTES_MAX, "A name fits its field");
  assert(meta.firstGenerations.length <= META_GENERATIONS_MAX, "Generations fit their field");
  const bytes = new Uint8Array(META_BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(META_MAGIC), META_MAGIC_OFFSET);
  view.setUint32(META_VERSION_OFFSET, FORMAT_VERSION, true);
  setUint53(view, META_TRANSACTION_OFFSET, meta.transaction);
  view.setUint32(META_PAGE_SIZE_OFFSET, meta.pageSize, true);
  view.setUint32(META_PAGE_COUNT_OFFSET, meta.pageCount, true);
  view.setBigUint64(META_SATURATED_OFFSET, meta.saturated, true);
  setRoot(view, META_KEY_ROOT_OFFSET, meta.keyRoot);
  setRoot(view, META_RANK_ROOT_OFFSET, meta.rankRoot);
  view.setUint32(META_GENERATIONS_PAGE_OFFSET, meta.generationsPage.number, true);
  view.setUint32(META_GENERATION_SLOTS_OFFSET, meta.generationSlots, true);
  setUint53(view, META_GENERATIONS_BIRTH_OFFSET, meta.generationsPage.birth);
  view.setUint16(META_NAME_LENGTH_OFFSET, meta.name.length, true);
  bytes.set(meta.name, META_NAME_OFFSET);
  meta.firstGenerations.forEach((generation, slot) => {
    view.setBigUint64(META_GENERATIONS_OFFSET + 8 * slot, generation, true);
  });
  view.setUint32(META_CHECKSUM_OFFSET, metaChecksum(bytes), true);
  return bytes;
}

/** Decodes one block; returns a string that says what is wrong if it is not valid. */
export function decodeMeta(bytes: Uint8Array): Meta | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, META_BLOCK_BYTES);
  for (let at = 0; at < META_MAGIC.length; at++) {
    if (bytes[META_MAGIC_OFFSET + at] !== META_MAGIC.charCodeAt(at)) return "wrong magic";
  }
  if (view.getUint32(META_CHECKSUM_OFFSET, true) !== metaChecksum(bytes)) return "wrong checksum";
  const version = view.getUint32(META_VERSION_OFFSET, true);
  if (version !== FORMAT_VERSION) return `unknown format version ${version}`;
  const transaction = getUint53(view, META_TRANSACTION_OFFSET);
  if (!Number.isSafeInteger(transaction)) return "transaction is out of range";
  const pageSize = view.getUint32(META_PAGE_SIZE_OFFSET, true);
  if (!pageSizeIsLegal(pageSize)) return `page size ${pageSize} is not legal`;
  const pageCount = view.getUint32(META_PAGE_COUNT_OFFSET, true);
  if (pageCount < firstPageOf(pageSize)) return "page count is out of range";
  const keyRoot = getRoot(view, META_KEY_ROOT_OFFSET);
  const rankRoot = getRoot(view, META_RANK_ROOT_OFFSET);
  for (const root of [keyRoot, rankRoot]) {
    if (!Number.isSafeInteger(root.rows)) return "root has a row count out of range";
    if (root.rows === 0) continue;
    if (root.number < firstPageOf(pageSize)) return "root lies in the meta blocks";
    if (root.number >= pageCount) return "root lies past the last page";
    // Written so that NaN, the result for a number that is too great, fails as well.
    if (!(root.birth <= transaction)) return "root has a birth after its transaction";
    if (root.level > LEVEL_MAX) return "root has a level out of range";
  }
  if (keyRoot.rows !== rankRoot.rows) return "the two orders hold different numbers of counters";
  for (let at = META_DELTA_KEY_ROOT_OFFSET; at < META_GENERATIONS_PAGE_OFFSET; at++) {
    if (bytes[at] !== 0) return "a root that is reserved is in use";
  }
  const generationSlots = view.getUint32(META_GENERATION_SLOTS_OFFSET, true);
  const generationsPage = {
    number: view.getUint32(META_GENERATIONS_PAGE_OFFSET, true),
    birth: getUint53(view, META_GENERATIONS_BIRTH_OFFSET),
  };
  if (generationSlots > META_GENERATIONS_MAX !== generationsPage.number > 0) {
    return "the number of generations and their page disagree";
  }
  if (generationsPage.number >= pageCount) return "generations lie past the last page";
  if (!(generationsPage.birth <= transaction)) {
    return "generations have a birth after their transaction";
  }
  const nameLength = view.getUint16(META_NAME_LENGTH_OFFSET, true);
  if (nameLength === 0 || nameLength > NAME_BYTES_MAX) return "name length is out of range";
  const name = bytes.slice(META_NAME_OFFSET, META_NAME_OFFSET + nameLength);
  if (name.includes(0)) return "name holds NUL";
  for (let at = META_RESERVED_OFFSET; at < META_NAME_OFFSET; at++) {
    if (bytes[at] !== 0) return "reserved bytes are not 0";
  }
  const firstGenerations = new BigUint64Array(Math.min(generationSlots, META_GENERATIONS_MAX));
  for (let slot = 0; slot < firstGenerations.length; slot++) {
    firstGenerations[slot] = view.getBigUint64(META_GENERATIONS_OFFSET + 8 * slot, true);
  }
  const saturated = view.getBigUint64(META_SATURATED_OFFSET, true);
  return {
    transaction,
    pageSize,
    pageCount,
    saturated,
    keyRoot,
    rankRoot,
    generationSlots,
    firstGenerations,
    generationsPage,
    name,
  };
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

/** Reads the blocks. Throws `CorruptError` if none is valid; `into` is `META_BYTES` long. */
export function readMetaBlocks(file: StoredFile, into: Uint8Array): MetaBlocks {
  const bytes = file.read(into, 0);
  if (bytes < META_BYTES) {
    throw new CorruptError(
      `Not a keyspace file: ${file.path} has ${bytes} bytes, its head alone needs ${META_BYTES}`,
      { path: file.path, offset: bytes },
    );
  }
  return decodeMetaBlocks(into, file.path);
}

/** The transaction that the block at `offset` says it holds, whatever else is in it; −1 at the end. */
export function readTransaction(file: StoredFile, offset: number): number {
  const bytes = file.read(transactionBytes, offset + META_TRANSACTION_OFFSET);
  return bytes < transactionBytes.length ? -1 : getUint53(transactionView, 0);
}

const transactionBytes = new Uint8Array(metaLayout.transaction.size);
const transactionView = new DataView(transactionBytes.buffer);

export function decodeMetaBlocks(bytes: Uint8Array, path: string): MetaBlocks {
  const metas: Meta[] = [];
  const problems: { block: number; problem: string }[] = [];
  for (let block = 0; block < META_BLOCKS; block++) {
    const start = block * META_BLOCK_BYTES;
    const meta = decodeMeta(bytes.subarray(start, start + META_BLOCK_BYTES));
    if (typeof meta === "string") problems.push({ block, problem: meta });
    else if (meta.transaction % 2 !== block % 2) {
      problems.push({ block, problem: "transaction is in the wrong block" });
    } else metas.push(meta);
  }
  metas.sort((a, b) => b.transaction - a.transaction);
  const newest = metas[0];
  if (newest === undefined) {
    const first = problems[0]?.problem ?? "no block";
    throw new CorruptError(`No valid meta block in ${path}: ${first}`, { path, offset: 0 });
  }
  const previous = metas.find((meta) => meta.transaction === newest.transaction - 1) ?? null;
  return { newest, previous, problems };
}

function metaChecksum(bytes: Uint8Array): number {
  const head = crc32(bytes.subarray(0, META_CHECKSUM_OFFSET));
  return crc32(bytes.subarray(META_CHECKSUM_OFFSET + 4, META_BLOCK_BYTES), head);
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

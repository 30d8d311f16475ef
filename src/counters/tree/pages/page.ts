/**
 * The frame of every page of a keyspace file: its identity, its birth (the transaction that wrote it), and
 * a checksum.
 *
 * Invariants:
 * 1. A page is written once, as a whole, and never changed. Its number is used again only for a page with a
 *    later birth.
 * 2. The checksum covers every byte after itself, also the unused ones, which are 0.
 * 3. A pointer to a page has its number, birth, kind and level. A page that differs in any of them is not
 *    the one that is meant.
 *
 * The content between header and end belongs to `key_leaf.ts`, `rank_leaf.ts`, `branch.ts` and
 * `applied_generations.ts`.
 */

import { crc32 } from "node:zlib";
import { assert } from "../../../base/assert.ts";
import type { StoredFile } from "../../../file/mod.ts";

/** What a tree needs of its file. The caller opens, syncs and closes it. */
export type PageFile = Pick<
  StoredFile,
  "path" | "status" | "read" | "write" | "allocate" | "deallocate"
>;

export const pageLayout = {
  checksum: { offset: 0, size: 4 },
  number: { offset: 4, size: 4 },
  birth: { offset: 8, size: 8 },
  kind: { offset: 16, size: 1 },
  level: { offset: 17, size: 1 },
  rows: { offset: 18, size: 2 },
  prefix: { offset: 20, size: 2 },
  width: { offset: 22, size: 1 },
  reserved: { offset: 23, size: 1 },
  end: { offset: 24, size: 2 },
  zeros: { offset: 26, size: 6 },
} as const;

export const PAGE_CHECKSUM_OFFSET = pageLayout.checksum.offset;
export const PAGE_NUMBER_OFFSET = pageLayout.number.offset;
export const PAGE_BIRTH_OFFSET = pageLayout.birth.offset;
const PAGE_KIND_OFFSET = pageLayout.kind.offset;
const PAGE_LEVEL_OFFSET = pageLayout.level.offset;
export const PAGE_ROWS_OFFSET = pageLayout.rows.offset;
export const PAGE_PREFIX_OFFSET = pageLayout.prefix.offset;
export const PAGE_WIDTH_OFFSET = pageLayout.width.offset;
const PAGE_RESERVED_OFFSET = pageLayout.reserved.offset;
const PAGE_ZEROS_OFFSET = pageLayout.zeros.offset;
export const PAGE_END_OFFSET = pageLayout.end.offset;
export const PAGE_HEADER_BYTES = pageLayout.zeros.offset + pageLayout.zeros.size;

/** A page must hold at least three of the longest rows, and offsets inside a page have 16 bits. */
export const PAGE_SIZE_MIN = 1024;
export const PAGE_SIZE_MAX = 32768;

/** Deeper than any tree whose pages hold three rows and whose pages are numbered with 32 bits. */
export const LEVEL_MAX = 24;

export const PAGE_KIND_KEY_LEAF = 1;
export const PAGE_KIND_RANK_LEAF = 2;
export const PAGE_KIND_KEY_BRANCH = 3;
export const PAGE_KIND_RANK_BRANCH = 4;
export const PAGE_KIND_GENERATIONS = 5;

/** Length of the longest key. */
export const KEY_BYTES_MAX = 256;

export function pageSizeIsLegal(pageSize: number): boolean {
  return pageSize >= PAGE_SIZE_MIN && pageSize <= PAGE_SIZE_MAX &&
    (pageSize & (pageSize - 1)) === 0;
}

/** What a pointer says about its page. */
export interface PageIdentity {
  readonly number: number;
  /** The transaction that wrote the page. */
  readonly birth: number;
  readonly kind: number;
  /** 0 is a leaf. */
  readonly level: number;
}

/** A copy of a page in memory, with the views through which it is read. */
export class PageFrame {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The bytes that the checksum covers. */
  readonly body: Uint8Array;
  number = 0;
  birth = 0;
  /** Kind and level as the page cache has verified them: to read them from the page costs a miss of memory. */
  kind = -1;
  level = -1;
  /** Set by every use, cleared by the clock hand of the page cache. */
  used = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.body = bytes.subarray(PAGE_CHECKSUM_OFFSET + 4);
  }

  static ofSize(pageSize: number): PageFrame {
    return new PageFrame(new Uint8Array(pageSize));
  }

  get rows(): number {
    return this.view.getUint16(PAGE_ROWS_OFFSET, true);
  }
}

/** Writes the header of a complete page at `base`, last the checksum over the rest of the page. */
export function sealPage(
  bytes: Uint8Array,
  view: DataView,
  { base, pageSize, identity, rows, end, prefix = 0, width = 0 }: {
    readonly base: number;
    readonly pageSize: number;
    readonly identity: PageIdentity;
    readonly rows: number;
    readonly end: number;
    readonly prefix?: number;
    readonly width?: number;
  },
): void {
  assert(end <= pageSize, "Rows end inside their page");
  view.setUint32(base + PAGE_NUMBER_OFFSET, identity.number, true);
  setUint53(view, base + PAGE_BIRTH_OFFSET, identity.birth);
  view.setUint8(base + PAGE_KIND_OFFSET, identity.kind);
  view.setUint8(base + PAGE_LEVEL_OFFSET, identity.level);
  view.setUint16(base + PAGE_ROWS_OFFSET, rows, true);
  view.setUint16(base + PAGE_PREFIX_OFFSET, prefix, true);
  view.setUint8(base + PAGE_WIDTH_OFFSET, width);
  view.setUint16(base + PAGE_END_OFFSET, end, true);
  const body = bytes.subarray(base + PAGE_CHECKSUM_OFFSET + 4, base + pageSize);
  view.setUint32(base + PAGE_CHECKSUM_OFFSET, crc32(body), true);
}

/**
 * Why the bytes in a frame are not the page that a pointer means, or null if they are. The rows are not
 * examined, because the checksum covers them.
 */
export function pageProblem(frame: PageFrame, identity: PageIdentity): string | null {
  const { view } = frame;
  if (view.getUint32(PAGE_NUMBER_OFFSET, true) !== identity.number) return "wrong page number";
  if (getUint53(view, PAGE_BIRTH_OFFSET) !== identity.birth) return "wrong birth transaction";
  if (view.getUint32(PAGE_CHECKSUM_OFFSET, true) !== crc32(frame.body)) return "wrong checksum";
  if (view.getUint8(PAGE_KIND_OFFSET) !== identity.kind) return "wrong page kind";
  if (view.getUint8(PAGE_LEVEL_OFFSET) !== identity.level) return "wrong level";
  const reserved = view.getUint8(PAGE_RESERVED_OFFSET) | view.getUint16(PAGE_ZEROS_OFFSET, true) |
    view.getUint32(PAGE_ZEROS_OFFSET + 2, true);
  if (reserved !== 0) return "reserved bytes are not 0";
  if (frame.rows === 0) return "no rows";
  const end = view.getUint16(PAGE_END_OFFSET, true);
  if (end < PAGE_HEADER_BYTES || end > frame.bytes.length) return "rows end outside the page";
  return null;
}

/** Reads a 64-bit number that stays far below 2^53 (transactions, row counts). NaN if it does not. */
export function getUint53(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  return high < 0x200000 ? high * 0x100000000 + view.getUint32(offset, true) : NaN;
}

export function setUint53(view: DataView, offset: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "A stored number is a safe whole number");
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x100000000), true);
}

/**
 * The headers of the two files, as pure functions over bytes.
 *
 * The header of the log is written once, in two equal copies. The header of the map names the newest
 * snapshot. Its two copies alternate: the newest valid one counts, and the next store goes to the
 * older one.
 *
 * A copy is valid if its checksum fits, and its unused bytes are zero if `compat` is. A whole copy of another format is
 * not damage: it throws `NewerFormatError` or `OldFormatError`.
 */

import { crc32 } from "node:zlib";
import { blankBlock, checkFormat, type Kept, keptOf } from "../../base/format.ts";
import { readWhole, writeWhole } from "../../file/checked_log/mod.ts";
import {
  FORMAT_VERSION,
  HEAD_PAGE_BYTES,
  HEADER_COPY_BYTES,
  HEADER_OFFSETS,
  LOG_MAGIC,
  logHeaderLayout,
  logMarkLayout,
  MAP_MAGIC,
  mapHeaderLayout,
} from "./layout.ts";

export interface LogHeader extends Kept {
  readonly identity: bigint;
  /** Number of keys in the map with which the database was made. */
  readonly baseKeys: number;
  /** Number of entries with which it was made; that map has their effect already. */
  readonly baseEntries: number;
}

export interface MapHeader extends Kept {
  readonly identity: bigint;
  /** Rises by one with every snapshot. */
  readonly generation: number;
  readonly regionOffset: number;
  /** 0 for the empty map. */
  readonly regionBytes: number;
  /** Number of records in the region. */
  readonly keys: number;
  /** A start replays the log from here on. */
  readonly replayFrom: number;
  /** The snapshot may hold what the log says below this offset, so the log must reach it. */
  readonly logMin: number;
  /** Number of entries in the log before `replayFrom`. */
  readonly entries: number;
  /** Number of those that were committed there. */
  readonly committed: number;
}

/** The head of one of the two files. */
interface Head {
  readonly magic: Uint8Array;
  readonly subject: string;
  /** Bytes that the checksum of format 1 covered; later ones cover the whole copy. */
  readonly bytesInFormat1: number;
  readonly layout: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
  /** Where the unused bytes of a copy begin, and those of the page behind both copies. */
  readonly zeros: readonly [inCopy: number, inPage: number];
}

const logHead: Head = {
  magic: LOG_MAGIC,
  subject: "Log of a database",
  bytesInFormat1: 40,
  layout: logHeaderLayout,
  zeros: [logHeaderLayout.zeros.offset, logMarkLayout.zeros.offset],
};
const mapHead: Head = {
  magic: MAP_MAGIC,
  subject: "Map of a database",
  bytesInFormat1: 88,
  layout: mapHeaderLayout,
  zeros: [mapHeaderLayout.zeros.offset, 2 * HEADER_COPY_BYTES],
};
/** Both headers begin with the same fields. Behind the identity, each field of eight bytes is a number. */
const { version, checksum, compat, incompat, identity } = logHeaderLayout;

function numbersOf({ layout }: Head): [name: string, offset: number][] {
  return Object.entries(layout)
    .filter(([, { offset, size }]) => offset > identity.offset && size === 8)
    .map(([name, { offset }]) => [name, offset]);
}

const OLD_ADVICE = "move its data. With the executable of commit a148cb7, run " +
  "`countd db export DUMP --db MAP --log LOG`. Move both files away. With this one, run " +
  "`countd db import DUMP --db MAP --log LOG`";

/** The checksum over the first bytes of a copy, without its own field. */
function checksumOf(copy: Uint8Array, length: number): number {
  const head = crc32(copy.subarray(0, checksum.offset));
  return crc32(copy.subarray(checksum.offset + checksum.size, length), head);
}

function encode(head: Head, header: LogHeader | MapHeader): Uint8Array {
  const copy = blankBlock(HEADER_COPY_BYTES, header);
  const view = new DataView(copy.buffer);
  copy.set(head.magic);
  view.setUint32(version.offset, FORMAT_VERSION, true);
  view.setBigUint64(identity.offset, header.identity, true);
  const values: Readonly<Record<string, unknown>> = { ...header };
  for (const [name, offset] of numbersOf(head)) writeWhole(view, offset, values[name] as number);
  view.setUint32(checksum.offset, checksumOf(copy, HEADER_COPY_BYTES), true);
  return copy;
}

/** The valid copies in a head page with their offsets. Throws if a whole copy has another format. */
function decode<Header>(
  head: Head,
  page: Uint8Array,
  path: string,
): { readonly header: Header; readonly offset: number }[] {
  const found: { header: Header; offset: number }[] = [];
  for (const offset of HEADER_OFFSETS) {
    const copy = page.subarray(offset, offset + HEADER_COPY_BYTES);
    if (copy.length < HEADER_COPY_BYTES || !hasMagic(copy, head.magic)) continue;
    const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
    const word = ({ offset }: { readonly offset: number }) => view.getUint32(offset, true);
    const isFormat1 = word(version) === 1;
    const covered = isFormat1 ? head.bytesInFormat1 : HEADER_COPY_BYTES;
    if (word(checksum) !== checksumOf(copy, covered)) continue;
    checkFormat(
      path,
      { version: word(version), incompat: isFormat1 ? 0 : word(incompat) },
      { subject: head.subject, version: FORMAT_VERSION, incompat: 0, oldAdvice: OLD_ADVICE },
    );
    const kept = keptOf(word(compat), copy);
    if (kept.kept === undefined && firstByte(copy, head.zeros[0]) >= 0) continue;
    const numbers = numbersOf(head).map(([name, offset]) => [name, readWhole(view, offset)]);
    const fields = { identity: view.getBigUint64(identity.offset, true), ...kept };
    found.push({ header: { ...fields, ...Object.fromEntries(numbers) }, offset });
  }
  return found;
}

function hasMagic(bytes: Uint8Array, magic: Uint8Array): boolean {
  return bytes.length >= magic.length && magic.every((byte, index) => bytes[index] === byte);
}

/** True if a later countd may have put something into bytes that are zero here, and that do no harm. */
function hasCompat(copy: Uint8Array): boolean {
  return copy.subarray(compat.offset, incompat.offset).some((byte) => byte !== 0);
}

/** Offset of the first byte from `from` on that is not zero; −1 if all are. */
function firstByte(bytes: Uint8Array, from: number): number {
  const index = bytes.subarray(from).findIndex((byte) => byte !== 0);
  return index < 0 ? -1 : from + index;
}

/** Offset of the first byte behind the header copies that must be zero and is not; −1 if all are. */
export function damagedRest(page: Uint8Array, which: "map" | "log"): number {
  if (HEADER_OFFSETS.some((offset) => hasCompat(page.subarray(offset)))) return -1;
  return firstByte(page, (which === "map" ? mapHead : logHead).zeros[1]);
}

/** True if either header copy begins with the magic: the file is, or was, of this format. */
export function looksLike(page: Uint8Array, magic: Uint8Array): boolean {
  return HEADER_OFFSETS.some((offset) => hasMagic(page.subarray(offset), magic));
}

export function encodeLogHeader(header: LogHeader): Uint8Array {
  return encode(logHead, header);
}

/**
 * Decodes the header in a head page of the file at `path`; null if neither copy is valid. Throws
 * `NewerFormatError` or `OldFormatError` for another format.
 */
export function decodeLogHeader(page: Uint8Array, path: string): LogHeader | null {
  return decode<LogHeader>(logHead, page, path)[0]?.header ?? null;
}

export function encodeMapHeader(header: MapHeader): Uint8Array {
  return encode(mapHead, header);
}

/** The valid header copies in a head page with their offsets, the newest first. Throws as the above. */
export function decodeMapHeaders(
  page: Uint8Array,
  path: string,
): { readonly header: MapHeader; readonly offset: number }[] {
  return decode<MapHeader>(mapHead, page, path).filter(({ header }) =>
    header.regionOffset >= HEAD_PAGE_BYTES && header.replayFrom >= HEAD_PAGE_BYTES &&
    header.logMin >= header.replayFrom && header.committed <= header.entries
  ).sort((left, right) => right.header.generation - left.header.generation);
}

/** Bytes of the log mark, which is stored in the head page of the log. */
export function encodeLogMark(durable: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  writeWhole(view, 0, durable);
  view.setUint32(8, crc32(bytes.subarray(0, 8), logMarkLayout.durable.offset), true);
  return bytes;
}

/** The durable length of the log that the map and the head page of the log tell. */
export function knownLength({ logMin }: MapHeader, logPage: Uint8Array): number {
  return Math.max(logMin, decodeLogMark(logPage));
}

/** The durable length in the log mark of a head page; 0 without a valid mark. */
function decodeLogMark(page: Uint8Array): number {
  const at = logMarkLayout;
  const bytes = page.subarray(at.durable.offset, at.zeros.offset);
  if (bytes.length < 12) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(8, true) !== crc32(bytes.subarray(0, 8), at.durable.offset)) return 0;
  return readWhole(view, 0);
}

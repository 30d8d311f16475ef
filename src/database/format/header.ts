/**
 * The headers of the two files, as pure functions over bytes.
 *
 * The header of the log is written once, in two equal copies. The header of the map names the newest
 * snapshot. Its two copies alternate: the newest valid one counts, and the next store goes to the
 * older one.
 */

import { crc32 } from "node:zlib";
import {
  FORMAT_VERSION,
  HEAD_PAGE_BYTES,
  HEADER_COPY_BYTES,
  HEADER_OFFSETS,
  LOG_HEADER_BYTES,
  LOG_MAGIC,
  logHeaderLayout,
  logMarkLayout,
  MAP_HEADER_BYTES,
  MAP_MAGIC,
  mapHeaderLayout,
} from "./layout.ts";
import { readWhole, writeWhole } from "./text.ts";

export interface LogHeader {
  readonly identity: bigint;
  /** Number of keys in the map with which the database was made. */
  readonly baseKeys: number;
  /** Number of entries with which it was made; that map has their effect already. */
  readonly baseEntries: number;
}

export interface MapHeader {
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

function start(magic: Uint8Array): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(HEADER_COPY_BYTES);
  bytes.set(magic);
  const view = new DataView(bytes.buffer);
  view.setUint32(logHeaderLayout.version.offset, FORMAT_VERSION, true);
  return { bytes, view };
}

/** Magic, version and checksum have the same offsets in both headers. */
function seal(bytes: Uint8Array, view: DataView, length: number): Uint8Array {
  view.setUint32(logHeaderLayout.checksum.offset, checksumOf(bytes, length), true);
  return bytes;
}

function checksumOf(bytes: Uint8Array, length: number): number {
  const head = crc32(bytes.subarray(0, logHeaderLayout.checksum.offset));
  return crc32(bytes.subarray(logHeaderLayout.identity.offset, length), head);
}

function viewOfValid(bytes: Uint8Array, magic: Uint8Array, length: number): DataView | null {
  if (bytes.length < length || !hasMagic(bytes, magic)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(logHeaderLayout.version.offset, true) !== FORMAT_VERSION) return null;
  const stored = view.getUint32(logHeaderLayout.checksum.offset, true);
  return stored === checksumOf(bytes, length) ? view : null;
}

function hasMagic(bytes: Uint8Array, magic: Uint8Array): boolean {
  return bytes.length >= magic.length && magic.every((byte, index) => bytes[index] === byte);
}

/** True if either header copy begins with the magic: the file is, or was, of this format. */
export function looksLike(page: Uint8Array, magic: Uint8Array): boolean {
  return HEADER_OFFSETS.some((offset) => hasMagic(page.subarray(offset), magic));
}

/** The version that a file of this format names, or null. */
export function versionOf(page: Uint8Array, magic: Uint8Array): number | null {
  if (!hasMagic(page, magic) || page.length < LOG_HEADER_BYTES) return null;
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  return view.getUint32(logHeaderLayout.version.offset, true);
}

export function encodeLogHeader(header: LogHeader): Uint8Array {
  const { bytes, view } = start(LOG_MAGIC);
  view.setBigUint64(logHeaderLayout.identity.offset, header.identity, true);
  writeWhole(view, logHeaderLayout.baseKeys.offset, header.baseKeys);
  writeWhole(view, logHeaderLayout.baseEntries.offset, header.baseEntries);
  return seal(bytes, view, LOG_HEADER_BYTES);
}

/** Decodes the header in a head page; null if neither copy is valid. */
export function decodeLogHeader(page: Uint8Array): LogHeader | null {
  for (const offset of HEADER_OFFSETS) {
    const copy = page.subarray(offset, offset + HEADER_COPY_BYTES);
    const view = viewOfValid(copy, LOG_MAGIC, LOG_HEADER_BYTES);
    if (view === null) continue;
    return {
      identity: view.getBigUint64(logHeaderLayout.identity.offset, true),
      baseKeys: readWhole(view, logHeaderLayout.baseKeys.offset),
      baseEntries: readWhole(view, logHeaderLayout.baseEntries.offset),
    };
  }
  return null;
}

export function encodeMapHeader(header: MapHeader): Uint8Array {
  const { bytes, view } = start(MAP_MAGIC);
  const at = mapHeaderLayout;
  view.setBigUint64(at.identity.offset, header.identity, true);
  writeWhole(view, at.generation.offset, header.generation);
  writeWhole(view, at.regionOffset.offset, header.regionOffset);
  writeWhole(view, at.regionBytes.offset, header.regionBytes);
  writeWhole(view, at.keys.offset, header.keys);
  writeWhole(view, at.replayFrom.offset, header.replayFrom);
  writeWhole(view, at.logMin.offset, header.logMin);
  writeWhole(view, at.entries.offset, header.entries);
  writeWhole(view, at.committed.offset, header.committed);
  return seal(bytes, view, MAP_HEADER_BYTES);
}

/** The valid header copies in a head page with their offsets, the newest first. */
export function decodeMapHeaders(page: Uint8Array): { header: MapHeader; offset: number }[] {
  const at = mapHeaderLayout;
  const found: { header: MapHeader; offset: number }[] = [];
  for (const offset of HEADER_OFFSETS) {
    const view = viewOfValid(
      page.subarray(offset, offset + HEADER_COPY_BYTES),
      MAP_MAGIC,
      MAP_HEADER_BYTES,
    );
    if (view === null) continue;
    const header: MapHeader = {
      identity: view.getBigUint64(at.identity.offset, true),
      generation: readWhole(view, at.generation.offset),
      regionOffset: readWhole(view, at.regionOffset.offset),
      regionBytes: readWhole(view, at.regionBytes.offset),
      keys: readWhole(view, at.keys.offset),
      replayFrom: readWhole(view, at.replayFrom.offset),
      logMin: readWhole(view, at.logMin.offset),
      entries: readWhole(view, at.entries.offset),
      committed: readWhole(view, at.committed.offset),
    };
    const isWhole = header.regionOffset >= HEAD_PAGE_BYTES &&
      header.replayFrom >= HEAD_PAGE_BYTES &&
      header.logMin >= header.replayFrom && header.committed <= header.entries;
    if (isWhole) found.push({ header, offset });
  }
  return found.sort((left, right) => right.header.generation - left.header.generation);
}

/** Bytes of the log mark, which is stored in the head page of the log. */
export function encodeLogMark(durable: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  writeWhole(view, 0, durable);
  view.setUint32(8, crc32(bytes.subarray(0, 8), logMarkLayout.durable.offset), true);
  return bytes;
}

/** The durable length in the log mark of a head page; 0 without a valid mark. */
export function decodeLogMark(page: Uint8Array): number {
  const at = logMarkLayout;
  const bytes = page.subarray(at.durable.offset, at.reserved.offset + at.reserved.size);
  if (bytes.length < 16) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(8, true) !== crc32(bytes.subarray(0, 8), at.durable.offset)) return 0;
  return readWhole(view, 0);
}

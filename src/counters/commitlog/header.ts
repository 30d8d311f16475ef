/**
 * The header of a commit log: two copies of 512 bytes, each with a checksum, so that a torn store leaves
 * the other copy whole. The newest valid copy wins, and the next store overwrites the other one.
 *
 * Invariants of a valid copy: magic, version and checksum fit; the state is one of the three;
 * 4096 ≤ length ≤ logSize; durable ≤ length; the unused bytes are zero if
 * `compat` is.
 */

import { crc32 } from "node:zlib";
import { assert } from "../../base/assert.ts";
import { blankBlock, checkFormat, type Kept, keptOf, type KnownFormat } from "../../base/format.ts";
import type { StoredFile } from "../../file/mod.ts";
import { MOVE_ADVICE } from "./control_bytes.ts";
import {
  HEAD_PAGE_BYTES,
  HEADER_COPY_BYTES,
  headerLayout as at,
  LOG_MAGIC,
  LOG_VERSION,
} from "./layout.ts";
import { readFrom } from "../../file/checked_log/mod.ts";

const known: KnownFormat = {
  subject: "Commit log",
  version: LOG_VERSION,
  incompat: 0,
  oldAdvice: MOVE_ADVICE,
};

/** free: can be claimed · active: a writer appends · sealed: waits for a fold. */
export type LogState = "free" | "active" | "sealed";

const stateNumbers = { free: 1, active: 2, sealed: 3 } as const;
const statesByNumber: Readonly<Record<number, LogState>> = { 1: "free", 2: "active", 3: "sealed" };

export interface LogHeader extends Kept {
  readonly slot: number;
  /** Raised by every claim and never used again: it identifies the content. */
  readonly generation: bigint;
  /** Raised by every store of a header. */
  readonly sequence: bigint;
  readonly state: LogState;
  readonly logSize: number;
  /** End of the last frame if sealed; otherwise the end of the head page. */
  readonly length: number;
  /** The durable length when the log was sealed. */
  readonly durable: number;
  /** When the log was claimed; for display only. */
  readonly claimedWallMs: number;
  /** The number of counter records if sealed; for display only. */
  readonly records: number;
  /** Which claim of the pool it was: logs are sealed, folded and read in this order. 0 if never claimed. */
  readonly order: bigint;
}

/** Encodes one copy. */
export function encodeHeader(header: LogHeader): Uint8Array {
  assert(header.length >= HEAD_PAGE_BYTES, "A log is at least its head page");
  assert(header.length <= header.logSize, "A log ends within its file");
  assert(header.durable <= header.length, "Nothing is durable beyond the end");
  const bytes = blankBlock(HEADER_COPY_BYTES, header);
  const view = new DataView(bytes.buffer);
  bytes.set(LOG_MAGIC, at.magic.offset);
  view.setUint32(at.version.offset, LOG_VERSION, true);
  view.setUint32(at.slot.offset, header.slot, true);
  view.setBigUint64(at.generation.offset, header.generation, true);
  view.setBigUint64(at.sequence.offset, header.sequence, true);
  view.setUint32(at.state.offset, stateNumbers[header.state], true);
  view.setBigUint64(at.logSize.offset, BigInt(header.logSize), true);
  view.setBigUint64(at.length.offset, BigInt(header.length), true);
  view.setBigUint64(at.durable.offset, BigInt(header.durable), true);
  view.setBigInt64(at.claimedWallMs.offset, BigInt(Math.trunc(header.claimedWallMs)), true);
  view.setBigUint64(at.records.offset, BigInt(header.records), true);
  view.setBigUint64(at.order.offset, header.order, true);
  view.setUint32(at.checksum.offset, crc32(bytes.subarray(0, at.checksum.offset)), true);
  return bytes;
}

/**
 * Decodes one copy of the log at `path`, or null if anything about it is wrong. The bytes must not change
 * during the call. Throws `OldFormatError` or `NewerFormatError` for a whole copy of another format.
 */
export function decodeHeader(bytes: Uint8Array, path: string): LogHeader | null {
  if (bytes.length !== HEADER_COPY_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!LOG_MAGIC.every((byte, index) => bytes[index] === byte)) return null;
  const sum = crc32(bytes.subarray(0, at.checksum.offset));
  if (view.getUint32(at.checksum.offset, true) !== sum) return null;
  const version = view.getUint32(at.version.offset, true);
  checkFormat(path, { version, incompat: view.getUint32(at.incompat.offset, true) }, known);
  // What is not used yet is zero: a use of it would be a feature.
  const kept = keptOf(view.getUint32(at.compat.offset, true), bytes);
  const unused = bytes.subarray(at.claimEpoch.offset, at.checksum.offset);
  const isZero = view.getUint32(at.reserved.offset, true) === 0 &&
    unused.every((byte) => byte === 0);
  if (kept.kept === undefined && !isZero) return null;
  const state = statesByNumber[view.getUint32(at.state.offset, true)];
  if (state === undefined) return null;
  const logSize = Number(view.getBigUint64(at.logSize.offset, true));
  const length = Number(view.getBigUint64(at.length.offset, true));
  const durable = Number(view.getBigUint64(at.durable.offset, true));
  if (length < HEAD_PAGE_BYTES || length > logSize || durable > length) return null;
  return {
    slot: view.getUint32(at.slot.offset, true),
    generation: view.getBigUint64(at.generation.offset, true),
    sequence: view.getBigUint64(at.sequence.offset, true),
    state,
    logSize,
    length,
    durable,
    claimedWallMs: Number(view.getBigInt64(at.claimedWallMs.offset, true)),
    records: Number(view.getBigUint64(at.records.offset, true)),
    order: view.getBigUint64(at.order.offset, true),
    ...kept,
  };
}

/**
 * The newest valid copy of a head page, and which of the two it is; null if neither is valid. Throws as
 * `decodeHeader` does.
 */
export function newestHeader(
  headPage: Uint8Array,
  path: string,
): { readonly header: LogHeader; readonly copy: 0 | 1 } | null {
  const first = decodeHeader(headPage.subarray(0, HEADER_COPY_BYTES), path);
  const second = decodeHeader(headPage.subarray(HEADER_COPY_BYTES, 2 * HEADER_COPY_BYTES), path);
  if (first === null) return second === null ? null : { header: second, copy: 1 };
  if (second === null || second.sequence < first.sequence) return { header: first, copy: 0 };
  return { header: second, copy: 1 };
}

/** The header of a log by its bytes from the start on; null if they are no head page, or none is valid. */
export function headerOf(log: Uint8Array, path: string): LogHeader | null {
  return log.length < HEAD_PAGE_BYTES ? null : newestHeader(log, path)?.header ?? null;
}

/** As `headerOf`, for the file of a log. Throws `CorruptError` if the disk cannot read it. */
export function headerOfFile(file: StoredFile, path: string): LogHeader | null {
  const page = new Uint8Array(HEAD_PAGE_BYTES);
  return headerOf(page.subarray(0, readFrom({ file, path }, page, 0)), path);
}

/** Stores a header over the older copy: in the file, then in `headPage`, which holds what the file has. */
export function storeHeader(
  file: StoredFile,
  headPage: Uint8Array,
  header: LogHeader,
  path: string,
): void {
  const newest = newestHeader(headPage, path);
  assert(
    newest === null || header.sequence > newest.header.sequence,
    "A header replaces only an older one",
  );
  const offset = newest === null || newest.copy === 1 ? 0 : HEADER_COPY_BYTES;
  const bytes = encodeHeader(header);
  file.write(bytes, offset);
  headPage.set(bytes, offset);
}

/** The low 32 bits of a header's sequence, signed: what its live word carries. */
export function changeOf(header: LogHeader): number {
  return Number(BigInt.asIntN(32, header.sequence));
}

/** The bytes of `DATA/control` up to the holders of its locks. Pure functions, drawn in README.md. */

import { crc32 } from "node:zlib";
import { CorruptError, UsageError } from "../../base/errors.ts";
import { blankBlock, checkFormat, type Kept, keptOf, type KnownFormat } from "../../base/format.ts";
import { LOG_SIZE_MAX, LOG_SIZE_MIN, LOG_SIZE_UNIT_BYTES } from "../../base/pool_defaults.ts";
import { type MessageSizes, NAME_SIZE_MAX } from "../wire/mod.ts";
import {
  CHECKSUM_OFFSET_1,
  CONTROL_HEAD_BYTES,
  CONTROL_MAGIC,
  controlLayout as at,
  DIRECTORY_VERSION,
  FAILED_MARK_BYTES,
  FAILED_MARK_OFFSET,
  HOLDERS_OFFSET,
  liveWordsLayout,
  orderLayout,
} from "./control_layout.ts";

/** The sizes that are fixed when a data directory is made, in bytes. */
export interface DirectorySizes extends MessageSizes {
  readonly logSize: number;
}

/** What the head says: it never changes. */
export interface ControlHead extends Kept {
  readonly sizes: DirectorySizes;
  /** 16 random bytes, which distinguish a directory from its copies. */
  readonly identity: Uint8Array;
}

/** How to move the data of a directory or log of format 1: the end of a message. */
export const MOVE_ADVICE =
  'move its counters with the countd that made it; README.md has the commands under "Move from format 1"';

const NOT_ZERO = "has a byte that must be zero and is not";

const known: KnownFormat = {
  subject: "Control file",
  version: DIRECTORY_VERSION,
  incompat: 0,
  oldAdvice: MOVE_ADVICE,
};

/**
 * Parts that are in use. The failed mark has a checksum of its own; the counter and the live words have their
 * complements.
 */
const USED = [
  [0, orderLayout.zeros.offset],
  [FAILED_MARK_OFFSET, FAILED_MARK_OFFSET + FAILED_MARK_BYTES],
  [liveWordsLayout.tails.offset, liveWordsLayout.zeros.offset],
] as const;

/** A new file up to the holders: the head, the order counter, and zeros, or what is kept in their place. */
export function encodeControl(head: ControlHead, order: bigint): Uint8Array {
  const { sizes, identity } = head;
  const bytes = blankBlock(HOLDERS_OFFSET, head);
  for (const [start, end] of USED.slice(1)) bytes.fill(0, start, end);
  const view = new DataView(bytes.buffer);
  bytes.set(CONTROL_MAGIC, at.magic.offset);
  view.setUint32(at.version.offset, DIRECTORY_VERSION, true);
  view.setUint32(at.keyspaceSize.offset, sizes.keyspaceSize, true);
  view.setUint32(at.keySize.offset, sizes.keySize, true);
  view.setBigUint64(at.logSize.offset, BigInt(sizes.logSize), true);
  bytes.set(identity, at.identity.offset);
  view.setUint32(at.checksum.offset, headChecksum(bytes, at.checksum.offset), true);
  bytes.set(encodeOrder(order), orderLayout.order.offset);
  return bytes;
}

/**
 * Decodes the file at `path` by its bytes up to the holders. Throws `CorruptError` for damage, and
 * `OldFormatError` or `NewerFormatError` for a whole file of another format.
 */
export function decodeControl(path: string, bytes: Uint8Array): ControlHead {
  const head = decodeControlHead(path, bytes);
  const rest = head.kept === undefined ? bytes.slice() : new Uint8Array(0);
  for (const [start, end] of USED) rest.fill(0, start, end);
  const offset = rest.findIndex((byte) => byte !== 0);
  if (offset !== -1) throw damage(path, offset, NOT_ZERO);
  if (bytes.length < HOLDERS_OFFSET) throw damage(path, bytes.length, "is cut short");
  return head;
}

/** As `decodeControl`, for the head alone: what follows it may be damaged, or missing. */
export function decodeControlHead(path: string, bytes: Uint8Array): ControlHead {
  const isWhole = bytes.length >= CONTROL_HEAD_BYTES;
  if (!isWhole || !CONTROL_MAGIC.every((byte, index) => bytes[index] === byte)) {
    throw new CorruptError(`${path} is not the control file of a countd data directory`, {
      path,
      offset: 0,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(at.version.offset, true);
  // A version counts only if the checksum covers it: otherwise it may be what is damaged.
  const checksumOffset = version === 1 ? CHECKSUM_OFFSET_1 : at.checksum.offset;
  if (view.getUint32(checksumOffset, true) !== headChecksum(bytes, checksumOffset)) {
    throw damage(path, checksumOffset, "has a checksum that does not fit");
  }
  checkFormat(path, { version, incompat: view.getUint32(at.incompat.offset, true) }, known);
  const kept = keptOf(view.getUint32(at.compat.offset, true), bytes);
  for (const { offset, size } of kept.kept ? [] : [at.reserved, at.streamId, at.zeros]) {
    if (bytes.subarray(offset, offset + size).every((byte) => byte === 0)) continue;
    throw damage(path, offset, NOT_ZERO);
  }
  return {
    sizes: {
      keyspaceSize: view.getUint32(at.keyspaceSize.offset, true),
      keySize: view.getUint32(at.keySize.offset, true),
      logSize: Number(view.getBigUint64(at.logSize.offset, true)),
    },
    identity: bytes.slice(at.identity.offset, at.identity.offset + at.identity.size),
    ...kept,
  };
}

function headChecksum(bytes: Uint8Array, end: number): number {
  return crc32(bytes.subarray(0, end));
}

function damage(path: string, offset: number, what: string): CorruptError {
  return new CorruptError(`${path} ${what}: run countd repair`, { path, offset });
}

/** An order counter with its complement, as it is stored. */
export function encodeOrder(order: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, order, true);
  view.setBigUint64(8, ~order, true);
  return bytes;
}

/** The value of an order counter; null if it is damaged or torn. */
export function decodeOrder(bytes: Uint8Array): bigint | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const order = view.getBigInt64(0, true);
  return order < 0n || view.getBigInt64(8, true) !== ~order ? null : order;
}

/** Throws `UsageError` for sizes that no data directory can have. */
export function checkDirectorySizes({ keyspaceSize, keySize, logSize }: DirectorySizes): void {
  for (const [name, size] of [["keyspace-size", keyspaceSize], ["key-size", keySize]] as const) {
    if (!Number.isInteger(size) || size < 1 || size > NAME_SIZE_MAX) {
      throw new UsageError(
        `Invalid --${name} ${size}: it is a whole number from 1 to ${NAME_SIZE_MAX}`,
      );
    }
  }
  if (!isLogSize(logSize)) {
    throw new UsageError(
      `Invalid --log-size ${logSize}: it must be a multiple of ${LOG_SIZE_UNIT_BYTES} bytes from ` +
        `${LOG_SIZE_MIN} to ${LOG_SIZE_MAX}`,
    );
  }
}

/** True for a size that a log can have. */
export function isLogSize(size: number): boolean {
  return size >= LOG_SIZE_MIN && size <= LOG_SIZE_MAX && size % LOG_SIZE_UNIT_BYTES === 0;
}

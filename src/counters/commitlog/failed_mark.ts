/**
 * The failed mark of a data directory. A sync that failed may have lost what was written before it, and the
 * kernel reports that only once. The page cache must not be trusted until every file has been read back. So
 * the failure is stored in a page of `DATA/control`, and every daemon refuses a directory that carries it.
 */

import { crc32 } from "node:zlib";
import { CountdError } from "../../base/errors.ts";
import type { StoredFile } from "../../file/mod.ts";
import {
  FAILED_MAGIC,
  FAILED_MARK_BYTES,
  FAILED_MARK_OFFSET,
  failedMarkLayout as at,
} from "./control_layout.ts";

/** Why and when a data directory was marked failed. */
export interface FailedMark {
  /** The failed sync in words. */
  readonly reason: string;
  /** When it failed, in milliseconds since 1970; for display only. */
  readonly wallMs: number;
}

/** A data directory whose disk has failed, which its failed mark says. Nothing of it is served. */
export class DirectoryFailedError extends CountdError {
  /** Name of the class. */
  override readonly name = "DirectoryFailedError";
  /** Always `corruption`. */
  override readonly kind = "corruption";

  /** Make the error for a data directory and its mark. */
  constructor(
    /** Path of the data directory. */
    readonly directory: string,
    /** What the mark says. */
    readonly mark: FailedMark,
    /** False if the disk did not take the mark. */
    readonly isMarked = true,
  ) {
    super(
      isMarked
        ? `Data directory ${directory} is marked failed (${mark.reason}): end all daemons and run ` +
          `countd check --clear-failed --data ${directory}`
        : `The disk of data directory ${directory} has failed (${mark.reason}), and does not even take ` +
          "the failed mark: end all daemons, mend the disk, and run countd check " +
          `--data ${directory}`,
    );
  }
}

/** The failed mark, or null. A torn mark counts, because it was about to be set. */
export function readFailedMark(control: StoredFile): FailedMark | null {
  const bytes = new Uint8Array(FAILED_MARK_BYTES);
  if (control.read(bytes, FAILED_MARK_OFFSET) < FAILED_MARK_BYTES) return null;
  if (bytes.every((byte) => byte === 0)) return null;
  const view = new DataView(bytes.buffer);
  const length = view.getUint32(at.reasonLength.offset, true);
  const whole = FAILED_MAGIC.every((byte, index) => bytes[index] === byte) &&
    length <= at.reason.size && view.getUint32(at.checksum.offset, true) === checksum(bytes);
  if (!whole) return { reason: "the failed mark itself is damaged", wallMs: 0 };
  const text = bytes.subarray(at.reason.offset, at.reason.offset + length);
  return {
    reason: new TextDecoder().decode(text),
    wallMs: Number(view.getBigInt64(at.wallMs.offset, true)),
  };
}

/** Sets the failed mark and tries to make it durable. Its space was allocated with the file. */
export function writeFailedMark(control: StoredFile, mark: FailedMark): void {
  const bytes = new Uint8Array(FAILED_MARK_BYTES);
  const view = new DataView(bytes.buffer);
  const reason = new TextEncoder().encode(mark.reason).subarray(0, at.reason.size);
  bytes.set(FAILED_MAGIC, at.mark.offset);
  view.setBigInt64(at.wallMs.offset, BigInt(Math.trunc(mark.wallMs)), true);
  view.setUint32(at.reasonLength.offset, reason.length, true);
  bytes.set(reason, at.reason.offset);
  view.setUint32(at.checksum.offset, checksum(bytes), true);
  control.write(bytes, FAILED_MARK_OFFSET);
  control.syncData();
}

/** Removes the failed mark, durably. */
export function clearFailedMark(control: StoredFile): void {
  control.write(new Uint8Array(FAILED_MARK_BYTES), FAILED_MARK_OFFSET);
  control.syncData();
}

function checksum(bytes: Uint8Array): number {
  const copy = bytes.slice();
  copy.fill(0, at.checksum.offset, at.checksum.offset + at.checksum.size);
  return crc32(copy);
}

/**
 * The format of a file: its version, and the feature words beside it. A later version, or a feature that this
 * countd does not know, is neither damage nor misuse: the file is whole, and a newer countd reads it. So it
 * is never repaired, quarantined or overwritten.
 *
 * A file of which the checksum is wrong has no format: its version may be what is damaged.
 *
 * Features are of two kinds, one word each. A feature in `incompat` must be known to read the file. One in
 * `compat` may be ignored. It may use the bytes of its block that are zero without it. So if the compat word
 * of a block has an unknown bit, these bytes are not tested, and every store of the block keeps the word and
 * the bytes as they were. What has no compat word of its own (a page, a frame) is tested always. A log, keyspace
 * or database that is made anew, by a repair or for a backup, has none of them.
 */

import { CountdError } from "./errors.ts";

/** A file that only a newer countd can read. It is whole; nothing may change it. */
export class NewerFormatError extends CountdError {
  /** Always `failed`. */
  override readonly kind = "failed";
}

/** A file of an earlier format, which this countd no longer reads. The message says how to move its data. */
export class OldFormatError extends CountdError {
  /** Always `failed`. */
  override readonly kind = "failed";
}

/** A whole file of another format. */
export type FormatError = NewerFormatError | OldFormatError;

/** Whether an error is about a whole file of another format. */
export function isFormatError(error: unknown): error is FormatError {
  return error instanceof NewerFormatError || error instanceof OldFormatError;
}

/** What a whole file says of its format. */
export interface FoundFormat {
  /** Version of the file, from 1 on. */
  readonly version: number;
  /** Features without whose knowledge the file must not be read: 32 bits. */
  readonly incompat: number;
}

/** What this countd knows of one kind of file. */
export interface KnownFormat extends FoundFormat {
  /** The kind of file, as a message begins: `Commit log`. */
  readonly subject: string;
  /** How to move the data of an earlier version: the end of a message. */
  readonly oldAdvice: string;
}

/** Throws `NewerFormatError` or `OldFormatError` if the whole file at `path` has another format than is known. */
export function checkFormat(path: string, found: FoundFormat, known: KnownFormat): void {
  const { subject, version } = known;
  const differs =
    `${subject} ${path} has format ${found.version}, and this countd reads format ${version}`;
  if (found.version < version) throw new OldFormatError(`${differs}: ${known.oldAdvice}`);
  if (found.version > version) throw new NewerFormatError(`${differs}: use a newer countd`);
  const unknown = (found.incompat & ~known.incompat) >>> 0;
  if (unknown === 0) return;
  throw new NewerFormatError(
    `${subject} ${path} has features that this countd does not know (0x${unknown.toString(16)}): ` +
      "use a newer countd",
  );
}

/** What the stores of a block keep: the whole block if it has an unknown compat bit; none is known. */
export interface Kept {
  readonly kept?: Uint8Array;
}

/** Copies what is kept of a block with this compat word. */
export function keptOf(compat: number, block: Uint8Array): Kept {
  return compat === 0 ? {} : { kept: block.slice() };
}

/** A block of `size` bytes before its known fields are stored: zeros, or what is kept. */
export function blankBlock(size: number, { kept }: Kept): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(size);
  if (kept !== undefined) block.set(kept.subarray(0, size));
  return block;
}

/**
 * The format of a file: its version, and the feature words beside it. A later version, or a feature that this
 * countd does not know, is neither damage nor misuse: the file is whole, and a newer countd reads it. So it
 * is never repaired, quarantined or overwritten.
 *
 * A file of which the checksum is wrong has no format: its version may be what is damaged.
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
  /** Features without whose knowledge the file must not be read: 32 bits. Unknown ones in `compat` do no harm. */
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

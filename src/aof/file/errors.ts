/**
 * The conditions of an append-only file. Class and `code` carry the names of the original library;
 * each class stands under the kind of `src/base/errors.ts` that decides the exit code.
 */

import { BusyError, CorruptError, FailedError, UsageError } from "../../base/errors.ts";

/** A size below the data was asked for. An append-only file never gives bytes back. */
export class ErrShrink extends FailedError {
  override readonly name = "ErrShrink";
  readonly code = "ErrShrink";
}

export class ErrIsDirectory extends FailedError {
  override readonly name = "ErrIsDirectory";
  readonly code = "ErrIsDirectory";
}

/** The tail of the file cannot be found. `where.offset` is the end of what is not zero. */
export class ErrCorrupted extends CorruptError {
  override readonly name = "ErrCorrupted";
  readonly code = "ErrCorrupted";
}

/** A file that is to be read as finished holds no byte. */
export class ErrEmptyFile extends FailedError {
  override readonly name = "ErrEmptyFile";
  readonly code = "ErrEmptyFile";
}

/** A write to a file whose mode forbids it, or that was opened to be read or followed. */
export class ErrFileIsReadOnly extends FailedError {
  override readonly name = "ErrFileIsReadOnly";
  readonly code = "ErrFileIsReadOnly";
}

/** The owner's mode bits do not allow reading. Decided by the bits, so it holds for root too. */
export class ErrReadPermission extends FailedError {
  override readonly name = "ErrReadPermission";
  readonly code = "ErrReadPermission";
}

export class ErrAppendFuncNil extends UsageError {
  override readonly name = "ErrAppendFuncNil";
  readonly code = "ErrAppendFuncNil";
}

/** The bytes do not fit into the file as it is now; a blocking call would extend it. */
export class ErrWouldBlock extends BusyError {
  override readonly name = "ErrWouldBlock";
  readonly code = "ErrWouldBlock";
}

/** A write of no bytes. */
export class ErrShortBuffer extends UsageError {
  override readonly name = "ErrShortBuffer";
  readonly code = "ErrShortBuffer";
}

/** The bytes would pass the upper size. The file stays open, and smaller writes still fit. */
export class ErrEndOfFile extends FailedError {
  override readonly name = "ErrEndOfFile";
  readonly code = "ErrEndOfFile";
}

/** The file, the manager or the reactor is closed, or the file is finished. */
export class ErrClosed extends FailedError {
  override readonly name = "ErrClosed";
  readonly code = "ErrClosed";
}

/**
 * The conditions of an append-only file. Class and `code` carry the names of kirana's `aof`. Each class
 * extends the kind of `src/base/errors.ts` that decides the exit code.
 */

import { BusyError, CorruptError, FailedError, UsageError } from "../../base/errors.ts";

/**
 * A size below the data was asked for, or the published size of a followed file went back. An append-only
 * file never becomes shorter than its data.
 */
export class ErrShrink extends FailedError {
  /** Name of the class. */
  override readonly name = "ErrShrink";
  /** The same name, as a code to compare with. */
  readonly code = "ErrShrink";
}

/**
 * The file was removed, moved or replaced while it was open: what is in it cannot be found under its name. The
 * file itself is sound.
 */
export class ErrLostName extends CorruptError {
  /** Name of the class. */
  override readonly name = "ErrLostName";
  /** The same name, as a code to compare with. */
  readonly code = "ErrLostName";

  /** Make the error for the name that is lost. */
  constructor(path: string) {
    super(
      `${path} was removed, moved or replaced while it was in use: close it, and give it its name back or ` +
        "open the file that has the name now",
      { path, offset: 0 },
    );
  }
}

/** The path leads to a directory. */
export class ErrIsDirectory extends FailedError {
  /** Name of the class. */
  override readonly name = "ErrIsDirectory";
  /** The same name, as a code to compare with. */
  readonly code = "ErrIsDirectory";
}

/**
 * Nothing in the file tells where its data ends. `where.offset` is the end of the last byte that is not
 * zero. The file is left as it is.
 */
export class ErrCorrupted extends CorruptError {
  /** Name of the class. */
  override readonly name = "ErrCorrupted";
  /** The same name, as a code to compare with. */
  readonly code = "ErrCorrupted";
}

/** A file that is to be read as finished has no bytes. */
export class ErrEmptyFile extends FailedError {
  /** Name of the class. */
  override readonly name = "ErrEmptyFile";
  /** The same name, as a code to compare with. */
  readonly code = "ErrEmptyFile";
}

/** A write to a file whose mode forbids it, or that was opened to be read or followed. */
export class ErrFileIsReadOnly extends FailedError {
  /** Name of the class. */
  override readonly name = "ErrFileIsReadOnly";
  /** The same name, as a code to compare with. */
  readonly code = "ErrFileIsReadOnly";
}

/**
 * The mode bits of the file do not let its owner read it. The bits decide, not the user that asks, so root
 * gets this error too.
 */
export class ErrReadPermission extends FailedError {
  /** Name of the class. */
  override readonly name = "ErrReadPermission";
  /** The same name, as a code to compare with. */
  readonly code = "ErrReadPermission";
}

/** An append was called without its function. */
export class ErrAppendFuncNil extends UsageError {
  /** Name of the class. */
  override readonly name = "ErrAppendFuncNil";
  /** The same name, as a code to compare with. */
  readonly code = "ErrAppendFuncNil";
}

/**
 * The bytes do not fit into the file as it is now, and a non-blocking call does not extend it. A blocking
 * call would. Nothing was written.
 */
export class ErrWouldBlock extends BusyError {
  /** Name of the class. */
  override readonly name = "ErrWouldBlock";
  /** The same name, as a code to compare with. */
  readonly code = "ErrWouldBlock";
}

/** A write of no bytes. */
export class ErrShortBuffer extends UsageError {
  /** Name of the class. */
  override readonly name = "ErrShortBuffer";
  /** The same name, as a code to compare with. */
  readonly code = "ErrShortBuffer";
}

/**
 * The bytes, with their mark, would pass the upper size. Nothing was written; the file stays open, and
 * smaller writes still fit.
 */
export class ErrEndOfFile extends FailedError {
  /** Name of the class. */
  override readonly name = "ErrEndOfFile";
  /** The same name, as a code to compare with. */
  readonly code = "ErrEndOfFile";
}

/** The file, the manager or the reactor is closed, or the file is finished. */
export class ErrClosed extends FailedError {
  /** Name of the class. */
  override readonly name = "ErrClosed";
  /** The same name, as a code to compare with. */
  readonly code = "ErrClosed";
}

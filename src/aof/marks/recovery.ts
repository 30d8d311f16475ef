/**
 * Finding the end of the data in a file that was not closed in order. `recoverWithMagic` is a pure
 * function over bytes; what it finds are the states that `marks.ts` passes through, so that a process
 * killed at any store leaves the old size or the new one.
 */

import { lastNonZero } from "./bytes.ts";
import { pendingWordLayout } from "./layout.ts";
import { isMarkAt, Magic, magicDefault, magicDisabled, MARK_SIZE, MarkBytes } from "./magic.ts";

export enum RecoveryKind {
  /** Nothing but zeros. */
  Empty = 0,
  /** There are bytes, and nothing says where they end. */
  Corrupted = 1,
  /** The end of the data is known, and the file can be appended to. */
  Tail = 2,
  /** The file ends with a checkpoint mark (it is finished), or is good up to one. */
  Checkpoint = 3,
  /** The recovery function threw. */
  Panic = 4,
}

export interface RecoveryResult {
  readonly magic: Magic;
  readonly outcome: RecoveryKind;
  /** Bytes of the file that was looked at. */
  readonly fileSize: number;
  /** Offset of the last checkpoint mark; 0 where there is none. */
  readonly checkpoint: number;
  /**
   * Tail: bytes of data. Checkpoint: the end of the mark. Corrupted: the end of what is not zero.
   */
  readonly tail: number;
  readonly err: Error | null;
}

/** Looks at the first `fileSize` bytes of `data` and says where the data ends. Changes nothing. */
export type RecoveryFunc = (fileSize: number, data: Uint8Array, magic: Magic) => RecoveryResult;

/** How a file is recovered when it is opened, and afterwards what was found. */
export class Recovery {
  readonly magic: Magic;
  readonly func: RecoveryFunc | null;
  #result: RecoveryResult | null = null;

  /** Without a function the file is read as finished: nothing is ever appended (ErrFileIsReadOnly). */
  constructor({ magic = magicDisabled, func = null }: {
    readonly magic?: Magic;
    readonly func?: RecoveryFunc | null;
  } = {}) {
    this.magic = magic;
    this.func = func;
  }

  /** The same rules without a result. */
  clone(): Recovery {
    return new Recovery({ magic: this.magic, func: this.func });
  }

  /** Runs the function and keeps what it finds; what it throws becomes the outcome Panic. */
  run(fileSize: number, data: Uint8Array): RecoveryResult {
    const func = this.func ?? recoverWithMagic;
    // A file that is read as finished may still carry the marks of the original library.
    const magic = this.func === null && this.magic.isDisabled() ? magicDefault : this.magic;
    try {
      this.#result = func(fileSize, data, magic);
    } catch (error) {
      this.#result = panicResult(fileSize, magic, error);
    }
    return this.#result;
  }

  /** Null before `run`. */
  result(): RecoveryResult | null {
    return this.#result;
  }

  err(): Error | null {
    return this.#result?.err ?? null;
  }

  tail(): number {
    return this.#result?.tail ?? 0;
  }
}

/**
 * Finds the last mark. The last bytes that are not zero decide:
 *
 *     tail mark                          Tail       the data ends at its start
 *     checkpoint mark                    Checkpoint the data ends at its start
 *     pending word of n bytes            Tail       a write was cut off: n bytes before its start
 *     a torn pending word (see below)    Tail       at the tail mark before it
 *     anything else                      Checkpoint at the last checkpoint mark, or Corrupted
 *
 * Where marks are disabled the data ends behind the last byte that is not zero.
 */
export function recoverWithMagic(
  fileSize: number,
  data: Uint8Array,
  magic: Magic,
): RecoveryResult {
  const found = (
    outcome: RecoveryKind,
    tail: number,
    checkpoint = 0,
    err: Error | null = null,
  ) => ({
    magic,
    outcome,
    fileSize,
    checkpoint,
    tail,
    err,
  });
  try {
    if (fileSize > data.length) {
      const message = `File size ${fileSize} is greater than the mapping of ${data.length} bytes`;
      return found(RecoveryKind.Corrupted, 0, 0, new RangeError(message));
    }
    if (fileSize === 0) return found(RecoveryKind.Tail, 0);
    const last = lastNonZero(data, fileSize);
    if (last === -1) return found(RecoveryKind.Empty, 0);
    if (fileSize < MARK_SIZE || magic.isDisabled()) return found(RecoveryKind.Tail, last + 1);
    const marks = new MarkBytes(magic);
    const start = last + 1 - MARK_SIZE;
    if (isMarkAt(data, start, marks.checkpoint)) {
      return found(RecoveryKind.Checkpoint, start + MARK_SIZE, start);
    }
    const end = endOfData(data, start, last, marks);
    const checkpoint = lastMark(data, end === -1 ? start - 1 : end - MARK_SIZE, marks.checkpoint);
    if (end !== -1) return found(RecoveryKind.Tail, end, Math.max(checkpoint, 0));
    if (checkpoint !== -1) {
      return found(RecoveryKind.Checkpoint, checkpoint + MARK_SIZE, checkpoint);
    }
    return found(RecoveryKind.Corrupted, last + 1);
  } catch (error) {
    return panicResult(fileSize, magic, error);
  }
}

/** Where the data ends when it is not finished, or -1 where nothing says so. */
function endOfData(data: Uint8Array, start: number, last: number, marks: MarkBytes): number {
  const { tail } = marks;
  if (isMarkAt(data, start, tail)) return start;
  if (
    start >= 0 && data[start + 5] === tail[5] && data[start + 6] === tail[6] &&
    data[start + 7] === tail[7]
  ) {
    // The fifth byte is the first to be changed from a pending word into a tail mark: all data stands.
    if (marks.fifthByteTells && data[start + 4] === tail[4]) return start;
    const pending = pendingLengthAt(data, start);
    if (pending >= 1 && pending <= start) return start - pending;
  }
  return tornPending(data, last, tail);
}

/** The length in a pending word. */
export function pendingLengthAt(data: Uint8Array, start: number): number {
  let length = 0;
  for (let index = pendingWordLayout.length.size - 1; index >= 0; index--) {
    length = length * 256 + (data[start + index] ?? 0);
  }
  return length;
}

/**
 * A pending word of which only the first bytes stand: behind a tail mark (or in a fresh file), zeros,
 * then the beginning of the word for exactly the bytes between. Nothing was copied yet, so the data
 * ends at the tail mark. Returns its start, or -1.
 */
function tornPending(data: Uint8Array, last: number, tail: Uint8Array): number {
  for (let start = Math.max(0, last + 2 - MARK_SIZE); start <= last; start++) {
    const before = lastNonZero(data, start);
    const end = before === -1 ? 0 : before + 1 - MARK_SIZE;
    if (before !== -1 && !isMarkAt(data, end, tail)) continue;
    const length = start - end;
    if (length < 1) continue;
    let matches = true;
    for (let index = start; index <= last; index++) {
      const position = index - start;
      const expected = position < 5 ? Math.floor(length / 256 ** position) % 256 : tail[position];
      if (data[index] !== expected) matches = false;
    }
    if (matches) return end;
  }
  return -1;
}

/** The greatest offset at most `from` at which the mark stands, or -1. */
function lastMark(data: Uint8Array, from: number, mark: Uint8Array): number {
  const first = mark[0] as number;
  let offset = Math.min(from, data.length - MARK_SIZE);
  while (offset >= 0) {
    offset = data.lastIndexOf(first, offset);
    if (offset === -1 || isMarkAt(data, offset, mark)) return offset;
    offset--;
  }
  return -1;
}

function panicResult(fileSize: number, magic: Magic, error: unknown): RecoveryResult {
  return {
    magic,
    outcome: RecoveryKind.Panic,
    fileSize,
    checkpoint: 0,
    tail: 0,
    err: error instanceof Error ? error : new Error(String(error)),
  };
}

/** Marks of the original library, looked for by `recoverWithMagic`. */
export const recoveryDefault: Recovery = new Recovery({
  magic: magicDefault,
  func: recoverWithMagic,
});

/** Reads a file as finished. A missing file is never made; an empty one gives ErrEmptyFile. */
export const recoveryReadOnly: Recovery = new Recovery();

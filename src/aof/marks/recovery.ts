/**
 * Finding the end of the data in a file, whether its writer closed it or was killed. `recoverWithMagic`
 * is a pure function over bytes. It knows every state that `marks.ts` passes through, so a process killed
 * at any store leaves the old size or the new one.
 */

import { lastNonZero } from "./bytes.ts";
import { pendingWordLayout } from "./layout.ts";
import {
  isMarkAt,
  type Magic,
  magicDefault,
  magicDisabled,
  MARK_SIZE,
  MarkBytes,
} from "./magic.ts";

/** What a recovery found. The numbers are those of kirana's `aof`. */
export enum RecoveryKind {
  /** The file has nothing but zeros. */
  Empty = 0,
  /** There are bytes, and nothing tells where the data ends. */
  Corrupted = 1,
  /** The end of the data is known, and the file can be appended to. */
  Tail = 2,
  /** The file ends with a checkpoint mark (it is finished), or is good up to one. */
  Checkpoint = 3,
  /** The recovery function threw. */
  Panic = 4,
}

/** Where the data of a file ends, and how that is known. */
export interface RecoveryResult {
  /** The marks that were looked for. */
  readonly magic: Magic;
  /** What was found; it decides what the other fields mean. */
  readonly outcome: RecoveryKind;
  /** Length of the file in bytes. */
  readonly fileSize: number;
  /** Offset of the last checkpoint mark, where the data ends for `Checkpoint`; 0 if there is none. */
  readonly checkpoint: number;
  /**
   * For `Tail` the offset where the data ends, and for `Checkpoint` the end of the mark. For `Corrupted` the
   * end of the last byte that is not 0, and otherwise 0.
   */
  readonly tail: number;
  /** What went wrong, for `Panic` and sometimes for `Corrupted`; otherwise null. */
  readonly err: Error | null;
}

/**
 * Finds where the data ends in the first `fileSize` bytes of `data`, the mapped file. Must not change them.
 * What it throws becomes the outcome `Panic`.
 */
export type RecoveryFunc = (fileSize: number, data: Uint8Array, magic: Magic) => RecoveryResult;

/**
 * How the end of the data is found when a file is opened, and afterwards what was found. Continues
 * `Recovery` of kirana's `aof`.
 */
export class Recovery {
  /** The marks to look for, and to store behind the data. */
  readonly magic: Magic;
  /** The function that finds the end, or null to read the file as finished. */
  readonly func: RecoveryFunc | null;
  #result: RecoveryResult | null = null;

  /**
   * Make a recovery; default: without marks and without a function. Without a function the file is read as
   * finished, and every write is refused with `ErrFileIsReadOnly`.
   */
  constructor({ magic = magicDisabled, func = null }: {
    readonly magic?: Magic;
    readonly func?: RecoveryFunc | null;
  } = {}) {
    this.magic = magic;
    this.func = func;
  }

  /** Give a recovery with the same marks and function, and no result. */
  clone(): Recovery {
    return new Recovery({ magic: this.magic, func: this.func });
  }

  /** Run the function and keep what it finds; what it throws becomes the outcome `Panic`. */
  run(fileSize: number, data: Uint8Array): RecoveryResult {
    const func = this.func ?? recoverWithMagic;
    // A file that is read as finished may still have kirana's marks.
    const magic = this.func === null && this.magic.isDisabled() ? magicDefault : this.magic;
    try {
      this.#result = func(fileSize, data, magic);
    } catch (error) {
      this.#result = panicResult(fileSize, magic, error);
    }
    return this.#result;
  }

  /** Give what was found, or null before `run`. */
  result(): RecoveryResult | null {
    return this.#result;
  }

  /** Give the error of the result, or null. */
  err(): Error | null {
    return this.#result?.err ?? null;
  }

  /** Give the `tail` of the result, or 0 before `run`. */
  tail(): number {
    return this.#result?.tail ?? 0;
  }
}

/**
 * Find the end of the data by marks. The last bytes that are not zero decide:
 *
 *     tail mark                          Tail       the data ends at its start
 *     checkpoint mark                    Checkpoint the data ends at its start
 *     pending word of n bytes            Tail       a write was interrupted: n bytes before its start
 *     the beginning of a pending word    Tail       at the tail mark before it
 *     anything else                      Checkpoint at the last checkpoint mark, or Corrupted
 *
 * If marks are disabled, or the file is shorter than a mark, the data ends behind the last byte that is
 * not zero. Never throws: errors become the outcome `Panic`.
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

/** Offset where the data of an unfinished file ends, or -1 if nothing tells. */
function endOfData(data: Uint8Array, start: number, last: number, marks: MarkBytes): number {
  const { tail } = marks;
  if (isMarkAt(data, start, tail)) return start;
  if (
    start >= 0 && data[start + 5] === tail[5] && data[start + 6] === tail[6] &&
    data[start + 7] === tail[7]
  ) {
    // The fifth byte is changed first when a pending word becomes a tail mark: all data is stored by then.
    if (marks.fifthByteTells && data[start + 4] === tail[4]) return start;
    const pending = pendingLengthAt(data, start);
    if (pending >= 1 && pending <= start) return start - pending;
  }
  return tornPending(data, last, tail);
}

/** The length in the pending word at `start`. */
export function pendingLengthAt(data: Uint8Array, start: number): number {
  let length = 0;
  for (let index = pendingWordLayout.length.size - 1; index >= 0; index--) {
    length = length * 256 + (data[start + index] ?? 0);
  }
  return length;
}

/**
 * Find a pending word of which only the first bytes are stored. Before it are a tail mark (or nothing, in
 * a fresh file) and zeros. It is the beginning of the word for exactly the bytes between. No data was
 * copied yet, so the data ends at the tail mark. Returns the start of that mark, or -1.
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

/** Greatest offset, at most `from`, at which the mark is, or -1. */
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

/** Kirana's marks, looked for by `recoverWithMagic`: the default of `Aof.open`. */
export const recoveryDefault: Recovery = new Recovery({
  magic: magicDefault,
  func: recoverWithMagic,
});

/** Read a file as finished. A missing file is never made; an empty one gives `ErrEmptyFile`. */
export const recoveryReadOnly: Recovery = new Recovery();

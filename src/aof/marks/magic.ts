/** The two marks by which a file shows where its data ends, and their bytes. */

import { UsageError } from "../../base/errors.ts";
import { SIZE_UPPER_MAX } from "../file/geometry.ts";

/** Kirana's tail mark, which is behind the data after each write: bytes aa 24 75 54 63 9c 9b 41. */
export const MAGIC_TAIL = 4727544184288126122n;
/** Kirana's checkpoint mark, which is behind a finished file's data: bytes 2c db 1f f2 a5 ac 78 f8. */
export const MAGIC_CHECKPOINT = 17904250147343162156n;

/** Bytes of a mark. */
export const MARK_SIZE = 8;

/**
 * Values of the two marks as unsigned 64-bit numbers, stored little-endian. Marks are in use if neither is
 * 0. The upper byte of a mark must not be 0, and their upper 24 bits must differ.
 */
export class Magic {
  /** Take two values; `recoverWithMagic` reports those that cannot be used. */
  constructor(
    /** Marks the tail of the file. */
    readonly tail: bigint = 0n,
    /** Marks the end of a chunk, and the end of a finished file. */
    readonly checkpoint: bigint = 0n,
  ) {}

  /** Whether marks are not used: one of them is 0. */
  isDisabled(): boolean {
    return !this.isEnabled();
  }

  /** Whether marks are used: neither of them is 0. */
  isEnabled(): boolean {
    return this.tail !== 0n && this.checkpoint !== 0n;
  }
}

/** Kirana's marks. */
export const magicDefault: Magic = new Magic(MAGIC_TAIL, MAGIC_CHECKPOINT);
/** No marks: the recovery function finds the end of the data by other means. */
export const magicDisabled: Magic = new Magic();

/** The eight bytes of each mark. */
export class MarkBytes {
  readonly tail: Uint8Array;
  readonly checkpoint: Uint8Array;
  /**
   * Whether the fifth byte of the tail mark is one that no pending word has (there it is the upper byte of
   * a length). True of kirana's marks.
   */
  readonly fifthByteTells: boolean;

  /**
   * Throws `UsageError` for marks that could not be told from zeros or from each other. The last byte of
   * both must not be 0. Their upper 24 bits must differ, because a pending word has those of the tail mark
   * (see `marks.ts`).
   */
  constructor(magic: Magic) {
    this.tail = littleEndian(magic.tail);
    this.checkpoint = littleEndian(magic.checkpoint);
    if (this.tail[7] === 0 || this.checkpoint[7] === 0) {
      throw new UsageError(
        "Invalid magic: the highest byte of a mark is 0, so it could not be found among zeros",
      );
    }
    if (magic.tail >> 40n === magic.checkpoint >> 40n) {
      throw new UsageError("Invalid magic: the upper 24 bits of both marks are the same");
    }
    this.fifthByteTells = (this.tail[4] as number) * 2 ** 32 >= SIZE_UPPER_MAX;
  }
}

function littleEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(MARK_SIZE);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** Whether the eight bytes of `mark` are at `offset`, which may be any number. */
export function isMarkAt(data: Uint8Array, offset: number, mark: Uint8Array): boolean {
  if (offset < 0 || offset + MARK_SIZE > data.length) return false;
  for (let index = 0; index < MARK_SIZE; index++) {
    if (data[offset + index] !== mark[index]) return false;
  }
  return true;
}

/**
 * The word behind the data, and the order of stores that keeps it true if the process is killed between
 * any two of them.
 *
 *   1. Behind the data of `size` bytes is the tail mark; a file that was never written to has none.
 *      Behind the mark there are only zeros.
 *   2. While n bytes are written at `size`, the word at `size + n` is *pending*: its upper 24 bits are
 *      those of the tail mark, its lower 40 bits are n. It is stored before any data byte, and says:
 *      the data ends n bytes before this word. The bytes between may be anything.
 *   3. Turning the pending word into the tail mark commits the write. Its fifth byte is changed first;
 *      n is too small to have the same fifth byte, so from then on the data ends at the word's start.
 *   4. A word that overlaps the old mark is stored with one instruction (`TypedArray.set` of eight
 *      bytes is an eight-byte memmove). One that does not may be torn: recovery knows its beginnings.
 *   5. Bytes are rolled back (a failed write, an append that used less than it reserved, recovery) in
 *      this order: store a pending word that does not overlap the place of the tail mark, store the mark,
 *      store zeros, and clear the pending word from its last byte down.
 *
 * This holds if the process dies. A power cut may keep any page and lose any other: a format that must
 * survive that puts checksums into its data.
 */

import { assert } from "../../base/assert.ts";
import { pendingWordLayout } from "./layout.ts";
import { type Magic, MARK_SIZE, MarkBytes } from "./magic.ts";

/** Store bytes at an offset such that a kill leaves all or none of them (pwrite inside one page). */
export type StoreAtOnce = (bytes: Uint8Array, offset: number) => void;

export class Marks {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #mark: MarkBytes;
  readonly #fifthByte: number;
  /** The tail mark, and the pending word of 0 bytes, read as doubles; see `#isDouble`. */
  readonly #tailDouble: number;
  readonly #pendingDouble: number;
  readonly #pendingUnit: number;
  readonly #isDouble: boolean;
  readonly #word = new Uint8Array(MARK_SIZE);
  readonly #wordView = new DataView(this.#word.buffer);

  constructor(bytes: Uint8Array, magic: Magic) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#mark = new MarkBytes(magic);
    this.#fifthByte = this.#mark.tail[4] as number;
    const tail = new DataView(this.#mark.tail.buffer);
    this.#tailDouble = tail.getFloat64(0, true);
    const exponent = tail.getUint16(6, true) & 0x7ff0;
    // A word is stored fastest as a double: one store, and no bigint is made. Doubles of one exponent
    // are linear in their lower bits. Other marks are copied as bytes.
    const ordinary = exponent !== 0x7ff0 && exponent !== 0;
    this.#isDouble = ordinary && this.#mark.fifthByteTells;
    this.#fillPending(0);
    this.#pendingDouble = this.#wordView.getFloat64(0, true);
    this.#fillPending(1);
    this.#pendingUnit = this.#wordView.getFloat64(0, true) - this.#pendingDouble;
  }

  /** Store the pending word: `length` bytes are being written up to `end`. */
  begin(end: number, length: number): void {
    if (length >= MARK_SIZE && this.#isDouble) {
      this.#view.setFloat64(end, this.#pendingDouble + length * this.#pendingUnit, true);
      return;
    }
    this.#fillPending(length);
    this.#bytes.set(this.#word, end);
  }

  /** Turn the pending word at `end` into the tail mark: the data now ends there. */
  commit(end: number): void {
    if (this.#isDouble) {
      this.#bytes[end + 4] = this.#fifthByte;
      this.#view.setFloat64(end, this.#tailDouble, true);
    } else {
      this.#bytes.set(this.#mark.tail, end);
    }
  }

  /** Make the pending word at `end` say that the data ends at `size`: only a part of a write is kept. */
  shorten(end: number, size: number): void {
    assert(size < end, "Only a write that used less than it reserved is shortened");
    this.#fillPending(end - size);
    this.#bytes.set(this.#word, end);
  }

  /**
   * Make `size` the end of the data again. A pending word that says so is at `end`. `limit` is the length
   * of the file.
   */
  rollBack(size: number, end: number, limit: number, storeAtOnce: StoreAtOnce): void {
    assert(size < end, "There is something to roll back");
    let word = end;
    if (end - size < MARK_SIZE) {
      word = size + MARK_SIZE;
      if (word + MARK_SIZE > limit) {
        // The last bytes of the file: a pending word does not fit beside the mark.
        const restored = new Uint8Array(end + MARK_SIZE - size);
        restored.set(this.#mark.tail);
        storeAtOnce(restored, size);
        return;
      }
      this.#fillPending(MARK_SIZE);
      this.#bytes.set(this.#word, word);
    }
    this.#bytes.set(this.#mark.tail, size);
    this.#bytes.fill(0, size + MARK_SIZE, word);
    this.#clearDown(word, word + MARK_SIZE);
  }

  /** Put the tail mark at `size` and zeros behind it up to `end`, if no whole pending word is there. */
  placeTail(size: number, end: number): void {
    const markEnd = size + MARK_SIZE;
    // Down from the end, so that a torn pending word stays the beginning of one.
    this.#clearDown(Math.max(markEnd, end - MARK_SIZE), end);
    if (end - MARK_SIZE > markEnd) this.#bytes.fill(0, markEnd, end - MARK_SIZE);
    this.#bytes.set(this.#mark.tail, size);
  }

  /** Whether the word at `end` says that a write of `length` bytes was interrupted. */
  isPending(end: number, length: number): boolean {
    if (length < 1 || end + MARK_SIZE > this.#bytes.length) return false;
    this.#fillPending(length);
    return this.#word.every((byte, index) => this.#bytes[end + index] === byte);
  }

  /** Put the checkpoint mark in the place of the tail mark. */
  placeCheckpoint(size: number): void {
    this.#bytes.set(this.#mark.checkpoint, size);
  }

  get tail(): Uint8Array {
    return this.#mark.tail;
  }

  get checkpoint(): Uint8Array {
    return this.#mark.checkpoint;
  }

  #clearDown(start: number, end: number): void {
    for (let index = end - 1; index >= start; index--) this.#bytes[index] = 0;
  }

  #fillPending(length: number): void {
    const { length: lengthField, sign } = pendingWordLayout;
    this.#wordView.setUint32(lengthField.offset, length >>> 0, true);
    this.#wordView.setUint8(lengthField.offset + 4, Math.floor(length / 2 ** 32));
    this.#word.set(this.#mark.tail.subarray(sign.offset), sign.offset);
  }
}

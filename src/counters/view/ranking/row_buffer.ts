/** The buffer of replies: it grows as rows come, and is used again for the next replies. */

import { ROW_KEY_LENGTH_OFFSET, ROW_KEY_OFFSET, ROW_VALUE_OFFSET } from "../../wire/mod.ts";

export class RowBuffer {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;
  #length = 0;
  readonly #startBytes: number;
  readonly #keptBytes: number;

  /** Starts with `startBytes`; `reset` shrinks it to that again if it grew beyond `keptBytes`. */
  constructor(startBytes: number, keptBytes = 4 * startBytes) {
    this.#startBytes = startBytes;
    this.#keptBytes = keptBytes;
    this.#bytes = new Uint8Array(startBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** The whole buffer, filled up to `length`. Another object after the buffer grew. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  get view(): DataView<ArrayBuffer> {
    return this.#view;
  }

  filled(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes capacity for `count` more bytes. */
  reserve(count: number): void {
    const end = this.#length + count;
    if (end <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, end));
    bytes.set(this.filled());
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  /** `count` more bytes, which count as filled; returns where they begin. */
  extend(count: number): number {
    this.reserve(count);
    const start = this.#length;
    this.#length = start + count;
    return start;
  }

  append(bytes: Uint8Array): void {
    const start = this.extend(bytes.length);
    this.#bytes.set(bytes, start);
  }

  /** One row in wire form, its key taken from `keys`. */
  row(high: number, low: number, keys: DataView, keyStart: number, keyEnd: number): void {
    const keyLength = keyEnd - keyStart;
    const at = this.extend(ROW_KEY_OFFSET + keyLength);
    this.#view.setInt32(at + ROW_VALUE_OFFSET, low, true);
    this.#view.setInt32(at + ROW_VALUE_OFFSET + 4, high, true);
    this.#view.setUint16(at + ROW_KEY_LENGTH_OFFSET, keyLength, true);
    for (let index = 0; index < keyLength; index++) {
      this.#bytes[at + ROW_KEY_OFFSET + index] = keys.getUint8(keyStart + index);
    }
  }

  /** Drops the bytes behind `length`, to build them again. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Empties the buffer, and frees the memory that one large reply made it grow to. */
  reset(): void {
    this.#length = 0;
    if (this.#bytes.length <= this.#keptBytes) return;
    this.#bytes = new Uint8Array(this.#startBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }
}

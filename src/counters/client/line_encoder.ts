/** Lines of text become write messages. */

import { setSafeInt64 } from "../../base/int64.ts";
import {
  type MessageSizes,
  ReceiveBuffer,
  WRITE_KEYSPACE_OFFSET,
  writeMessageBytes,
} from "../wire/mod.ts";

const NEWLINE = 0x0a;
const TAB = 0x09;
const PLUS = 0x2b;
const MINUS = 0x2d;
const DIGIT_0 = 0x30;

/** Digits of an increment that a number holds exactly; longer ones go through BigInt. */
const EXACT_DIGITS_MAX = 15;
/** More digits than an int64 has, leading zeros included. */
const INCREMENT_TEXT_MAX = 40;

/**
 * Encoder of lines `keyspace TAB key [TAB increment]`, in any segmentation, straight into the buffer that
 * goes to the server. Names are bytes. An increment is decimal digits with an optional sign, within a
 * signed 64-bit integer; a missing one is 1.
 *
 * A line that breaks a rule is reported by its number and skipped. Nothing is allocated for a good line.
 */
export class LineEncoder {
  /** Complete lines so far, good or bad. */
  lines = 0;
  /** Lines so far that were reported and skipped. */
  malformed = 0;
  /** Bytes of the source that the last call took. */
  taken = 0;
  /** Bytes of messages that the last call wrote into the target. */
  given = 0;

  readonly #sizes: MessageSizes;
  readonly #messageBytes: number;
  readonly #reportMalformed: (line: number, reason: string) => void;
  /** The beginning of a line whose end has not arrived. */
  readonly #partial: ReceiveBuffer;
  /** The partial line is longer than any good one. */
  #isOverlong = false;
  /** The target of this call, as bytes and as a view. */
  #out = new Uint8Array(0);
  #view = new DataView(this.#out.buffer);

  /** `reportMalformed` gets the number of a skipped line, from 1, and the reason in words. */
  constructor(sizes: MessageSizes, reportMalformed: (line: number, reason: string) => void) {
    this.#sizes = sizes;
    this.#messageBytes = writeMessageBytes(sizes);
    this.#reportMalformed = reportMalformed;
    this.#partial = new ReceiveBuffer(
      new Uint8Array(sizes.keyspaceSize + sizes.keySize + INCREMENT_TEXT_MAX + 2),
    );
  }

  /**
   * Read lines from `source` and writes messages to `target`, until one of them is used up. `taken` and
   * `given` say how far it came. What is left of `source` is to be passed again, with a new target.
   */
  encode(source: Uint8Array, target: Uint8Array<ArrayBuffer>): void {
    this.#begin(target);
    while (this.taken < source.length && target.length - this.given >= this.#messageBytes) {
      const newline = source.indexOf(NEWLINE, this.taken);
      const end = newline < 0 ? source.length : newline;
      const isWhole = newline >= 0;
      if (isWhole && this.#partial.length === 0 && !this.#isOverlong) {
        this.#line(source, this.taken, end);
      } else {
        this.#keep(source, this.taken, end);
        if (isWhole) this.#keptLine();
      }
      this.taken = isWhole ? end + 1 : end;
    }
  }

  /**
   * End the input: a last line without a newline counts. `target` has the capacity for one message;
   * `given` says whether it was used.
   */
  end(target: Uint8Array<ArrayBuffer>): void {
    this.#begin(target);
    if (this.#partial.length > 0 || this.#isOverlong) this.#keptLine();
  }

  #begin(target: Uint8Array<ArrayBuffer>): void {
    this.taken = 0;
    this.given = 0;
    this.#out = target;
    this.#view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  }

  #keep(source: Uint8Array, start: number, end: number): void {
    const capacity = this.#partial.unused();
    if (end - start > capacity.length) {
      this.#isOverlong = true;
      return;
    }
    for (let index = start; index < end; index++) capacity[index - start] = source[index]!;
    this.#partial.received(end - start);
  }

  #keptLine(): void {
    const { bytes, start, end } = this.#partial;
    if (this.#isOverlong) {
      this.lines++;
      this.#refuse("it is too long for any message");
    } else {
      this.#line(bytes, start, end);
    }
    this.#isOverlong = false;
    this.#partial.consume(end);
    this.#partial.moveToFront();
  }

  #line(bytes: Uint8Array, start: number, end: number): void {
    this.lines++;
    const keyspaceEnd = findTab(bytes, start, end);
    if (keyspaceEnd === end) return this.#refuse("no TAB after the keyspace");
    const keyStart = keyspaceEnd + 1;
    const keyEnd = findTab(bytes, keyStart, end);
    const { keyspaceSize, keySize } = this.#sizes;
    if (keyspaceEnd === start) return this.#refuse("the keyspace is empty");
    if (keyspaceEnd - start > keyspaceSize) {
      return this.#refuse(`the keyspace has ${keyspaceEnd - start} bytes, ${keyspaceSize} fit`);
    }
    if (keyEnd - keyStart > keySize) {
      return this.#refuse(`the key has ${keyEnd - keyStart} bytes, ${keySize} fit`);
    }
    const at = this.given;
    setSafeInt64(this.#view, at, 1);
    const isNumber = keyEnd === end ||
      encodeIncrement(bytes, keyEnd + 1, end, { view: this.#view, offset: at });
    if (!isNumber) return this.#refuse("the increment is not a whole number of 64 bits");
    const out = this.#out;
    const keyspaceAt = at + WRITE_KEYSPACE_OFFSET;
    out.fill(0, keyspaceAt, at + this.#messageBytes);
    const hasNul = copyHasNul(bytes, start, keyspaceEnd, out, keyspaceAt) ||
      copyHasNul(bytes, keyStart, keyEnd, out, keyspaceAt + keyspaceSize);
    if (hasNul) return this.#refuse("a name cannot hold a NUL byte");
    this.given += this.#messageBytes;
  }

  #refuse(reason: string): void {
    this.malformed++;
    this.#reportMalformed(this.lines, reason);
  }
}

/** Offset of the first TAB, or `end`. */
function findTab(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== TAB) at++;
  return at;
}

function copyHasNul(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  to: number,
): boolean {
  let hasNul = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0) hasNul = true;
    out[to + at - start] = byte;
  }
  return hasNul;
}

/** `[+-]digits` as int64; false if the text is anything else or does not fit. */
function encodeIncrement(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: { readonly view: DataView; readonly offset: number },
): boolean {
  const sign = bytes[start];
  const digitsStart = start < end && (sign === PLUS || sign === MINUS) ? start + 1 : start;
  if (digitsStart >= end || end - start > INCREMENT_TEXT_MAX) return false;
  let value = 0;
  for (let at = digitsStart; at < end; at++) {
    const digit = bytes[at]! - DIGIT_0;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  const isNegative = digitsStart > start && sign === MINUS;
  if (end - digitsStart <= EXACT_DIGITS_MAX) {
    setSafeInt64(into.view, into.offset, isNegative ? -value : value);
    return true;
  }
  const magnitude = BigInt(String.fromCharCode(...bytes.subarray(digitsStart, end)));
  const exact = isNegative ? -magnitude : magnitude;
  if (BigInt.asIntN(64, exact) !== exact) return false;
  into.view.setBigInt64(into.offset, exact, true);
  return true;
}

/**
 * Converts text to bytes and back, exactly. Text that is not well-formed is refused, never replaced,
 * and a byte order mark is an ordinary character.
 */

import { UsageError } from "../../base/errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Below this length a loop over ASCII is faster than a call into the runtime. */
const SHORT_LENGTH = 64;

/** Writes UTF-8 at `offset`, with capacity for three bytes for each unit of `text`; returns the end. */
export function writeText(bytes: Uint8Array, offset: number, text: string): number {
  const length = text.length;
  if (length <= SHORT_LENGTH) {
    let index = 0;
    for (; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) break;
      bytes[offset + index] = code;
    }
    if (index === length) return offset + length;
  }
  return offset + encoder.encodeInto(text, bytes.subarray(offset)).written;
}

/** Reads UTF-8. Throws `TypeError` if the bytes are not UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  return start === end ? "" : decoder.decode(bytes.subarray(start, end));
}

/** The text of the bytes, or null if they are not UTF-8. */
export function textOrNull(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** Upper bound of the bytes that the text takes. */
export function textBytesMax(text: string): number {
  return text.length * 3;
}

/** Checks text. Throws `UsageError` if it has half a surrogate pair, which UTF-8 cannot hold. */
export function requireText(text: string, what: string): void {
  if (!text.isWellFormed()) {
    throw new UsageError(`Invalid ${what}: it holds half a surrogate pair, which is not text`);
  }
}

/** Exact number of bytes that the text takes. */
export function textBytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code <= 0x7f) continue;
    // Each half of a surrogate pair is counted as two of the four bytes.
    bytes += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

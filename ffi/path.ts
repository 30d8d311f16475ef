/**
 * A path as C wants it: bytes and a closing NUL.
 *
 * A name on the disk is any bytes, and a path of this program is text. A byte outside valid UTF-8 becomes
 * the lone surrogate U+DC00 plus the byte, as in Python (PEP 383), so bytes survive the way there and back.
 */

import { OsError } from "./errno.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const ESCAPE_START = 0xdc00;
/** Bytes below are always valid UTF-8, so no surrogate encodes them. */
const ESCAPED_MIN = 0x80;
const ESCAPED_MAX = 0xff;

/** Throws `OsError` EINVAL for a path that contains NUL, where C would end it, or that no bytes encode. */
export function cString(path: string, syscall: string): Uint8Array<ArrayBuffer> {
  if (path.includes("\0")) throw new OsError(syscall, JSON.stringify(path), "EINVAL");
  if (path.isWellFormed()) return encoder.encode(path + "\0");
  const bytes: number[] = [];
  for (const letter of path) {
    if (letter.isWellFormed()) bytes.push(...encoder.encode(letter));
    else {
      const byte = letter.charCodeAt(0) - ESCAPE_START;
      if (byte < ESCAPED_MIN || byte > ESCAPED_MAX) {
        throw new OsError(syscall, JSON.stringify(path), "EINVAL");
      }
      bytes.push(byte);
    }
  }
  bytes.push(0);
  return Uint8Array.from(bytes);
}

/** The text for a name of these bytes; `cString` gives exactly these bytes back. */
export function textOfBytes(name: Uint8Array): string {
  const whole = textOrNull(name);
  if (whole !== null) return whole;
  let text = "";
  for (let start = 0; start < name.length;) {
    const byte = name[start] as number;
    const length = byte < ESCAPED_MIN ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    const letter = textOrNull(name.subarray(start, start + length));
    text += letter ?? String.fromCharCode(ESCAPE_START + byte);
    start += letter === null ? 1 : length;
  }
  return text;
}

function textOrNull(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

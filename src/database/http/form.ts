/**
 * Reads the field `value` of queries and forms, byte for byte. The parsers of the runtime replace bytes
 * that are not UTF-8, and drop a byte order mark. These keep every byte, or refuse.
 *
 * npm `@remix-run/multipart-parser` 0.16.3 was tried in place of `multipartField`. Its search is not
 * linear: 16 MiB of dashes, with a boundary that begins with another letter, hold the event loop for
 * 3.5 s (here 40 ms). It refuses a preamble and a part without content, and takes any two bytes as the
 * line end behind a boundary.
 */

import { inOneTurn, type Steps } from "../../base/steps.ts";

/** Thrown if a request cannot be understood. The message is for the client. */
export class FormError extends Error {
  override readonly name = "FormError";
}

/** Bytes or characters that are looked at before others get a turn: a few milliseconds of work. */
const STEP_LENGTH = 512 * 1024;

/** The text of UTF-8. Throws `FormError`. */
export function* decodeText(bytes: Uint8Array): Steps<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += STEP_LENGTH) {
    const end = at + STEP_LENGTH;
    try {
      parts.push(decoder.decode(bytes.subarray(at, end), { stream: end < bytes.length }));
    } catch {
      throw new FormError("The value is not UTF-8 text");
    }
    yield;
  }
  return parts.join("");
}

const PLUS = 0x2b;
const SPACE = 0x20;

/** Most fields of a query or form, or parts of a multipart body, that are searched for the value. */
const FIELDS_MAX = 1000;

/**
 * The first field of this name in `a=1&b=2`, or null. The name must be ASCII letters. Throws `FormError`
 * for broken escapes in its value, and for a thousand other fields before it.
 */
export function urlEncodedField(text: string, name: string): string | null {
  return inOneTurn(formField(text, name));
}

/** As `urlEncodedField`, in steps. */
export function* formField(text: string, name: string): Steps<string | null> {
  let start = 0;
  for (let fields = 0; fields < FIELDS_MAX; fields++) {
    const ampersand = text.indexOf("&", start);
    const pair = text.slice(start, ampersand < 0 ? text.length : ampersand);
    const equals = pair.indexOf("=");
    if (isNamed(equals < 0 ? pair : pair.slice(0, equals), name)) {
      return equals < 0 ? "" : yield* decodeForm(pair.slice(equals + 1));
    }
    if (ampersand < 0) return null;
    start = ampersand + 1;
  }
  throw tooMany("fields");
}

/** True if the field is `name`, escaped or not. Decodes single bytes only, which cannot fail. */
function isNamed(field: string, name: string): boolean {
  if (field === name) return true;
  // An escaped character takes three.
  if (field.length > 3 * name.length || !field.includes("%")) return false;
  const decoded = field.replace(
    /%([0-9a-f]{2})/gi,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 16)),
  );
  return decoded === name;
}

/** Decodes plus signs and escapes. */
function* decodeForm(text: string): Steps<string> {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = endOfPiece(text, at + STEP_LENGTH);
    parts.push(yield* decodePiece(text.slice(at, end)));
    yield;
    at = end;
  }
  return parts.join("");
}

/** It works on bytes: in a string, millions of spaces would take seconds. */
function* decodePiece(text: string): Steps<string> {
  if (!text.includes("+")) return decodePercent(text);
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === PLUS) bytes[at] = SPACE;
  }
  return decodePercent(yield* decodeText(bytes));
}

/** A character takes at most four escapes, or two units of text. */
const CHARACTER_LENGTH_MAX = 4 * 3;

/** The first place from `at` on where no character is cut, escaped or not. */
function endOfPiece(text: string, at: number): number {
  for (let end = at; end < Math.min(text.length, at + 2 * CHARACTER_LENGTH_MAX); end++) {
    const escape = /%[0-9a-f]?$/i.exec(text.slice(end - 2, end));
    const isContinued = /^(?:%[89ab]|[\udc00-\udfff])/i.test(text.slice(end, end + 2));
    if (escape === null && !isContinued) return end;
  }
  // Whatever is cut here is malformed.
  return Math.min(text.length, at + 2 * CHARACTER_LENGTH_MAX);
}

/** Percent escapes decoded as UTF-8. Throws `FormError`. */
export function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new FormError("Percent escapes must be two hexadecimal digits each, and UTF-8 text");
  }
}

/** Bytes of a boundary (RFC 2046, 5.1.1). */
const BOUNDARY_BYTES_MAX = 70;

/** The boundary of a multipart content type. Throws `FormError` if there is none, or none that may be. */
export function boundaryOf(contentType: string): string {
  const match = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw new FormError("The multipart content type names no boundary");
  if (new TextEncoder().encode(boundary).length <= BOUNDARY_BYTES_MAX) return boundary;
  throw new FormError(`The multipart boundary is longer than ${BOUNDARY_BYTES_MAX} bytes`);
}

const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = 0x0a;
const headEnding = new Uint8Array([13, 10, 13, 10]);
/** Bytes of the head of a part. */
const HEAD_BYTES_MAX = 8192;

/**
 * The first part of this name in a multipart body, or null. Throws `FormError` for a broken body, for more
 * than a thousand parts before this one, and for a part with a long head. Each byte is looked at once.
 */
export function* multipartField(
  body: Uint8Array,
  boundary: string,
  name: string,
): Steps<string | null> {
  const delimiter = new TextEncoder().encode(`\r\n--${boundary}`);
  // The first one may be at the very start, without the line end before it.
  const isAtStart = delimiter.subarray(2).every((byte, at) => body[at] === byte);
  let start = isAtStart ? -2 : yield* indexOf(body, delimiter, 0);
  if (start === -1) throw unfinished();
  for (let parts = 0; parts < FIELDS_MAX; parts++) {
    start += delimiter.length;
    if (body[start] === 0x2d && body[start + 1] === 0x2d) return null;
    if (!isLineEnd(body, start)) throw unfinished();
    const head = body.subarray(0, start + HEAD_BYTES_MAX);
    const headEnd = yield* indexOf(head, headEnding, start);
    if (headEnd < 0) {
      if (start + HEAD_BYTES_MAX >= body.length) throw unfinished();
      throw new FormError(`The head of a part is longer than ${HEAD_BYTES_MAX} bytes`);
    }
    const contentStart = headEnd + headEnding.length;
    // A part without content ends with the line end of its head.
    const end = yield* indexOf(body, delimiter, contentStart - 2);
    if (end < 0) throw unfinished();
    const text = new TextDecoder().decode(body.subarray(start + 2, headEnd));
    if (partName(text) === name) return yield* decodeText(body.subarray(contentStart, end));
    start = end;
  }
  throw tooMany("parts");
}

function partName(head: string): string | null {
  const line = head.split("\r\n").find((each) => /^content-disposition:/i.test(each));
  const match = /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(line ?? "");
  return match?.[1] ?? match?.[2] ?? null;
}

function isLineEnd(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset] === CARRIAGE_RETURN && bytes[offset + 1] === LINE_FEED;
}

function unfinished(): FormError {
  return new FormError("The multipart body does not follow its boundary");
}

function tooMany(what: "fields" | "parts"): FormError {
  return new FormError(
    `No value among the first ${FIELDS_MAX} ${what}, the most that are looked at`,
  );
}

/**
 * Where `pattern` begins, or -1. Each byte is compared twice at most: a pattern here begins with a carriage
 * return, so that a match that breaks off can only begin again at the byte that broke it.
 */
function* indexOf(bytes: Uint8Array, pattern: Uint8Array, from: number): Steps<number> {
  let matched = 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === pattern[matched]) matched++;
    else matched = byte === pattern[0] ? 1 : 0;
    if (matched === pattern.length) return at + 1 - matched;
    if (at % STEP_LENGTH === STEP_LENGTH - 1) yield;
  }
  return -1;
}

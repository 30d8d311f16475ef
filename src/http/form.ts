/**
 * The field `value` out of queries and forms, byte for byte. The runtime's own parsers replace what is
 * not UTF-8 and drop a byte order mark, so that what is stored would not be what was sent; these refuse
 * instead.
 */

/** The request cannot be understood; the message is for the client. */
export class FormError extends Error {
  override readonly name = "FormError";
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of UTF-8. Throws `FormError`. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FormError("The value is not UTF-8 text");
  }
}

/** The first field of this name in `a=1&b=2`, or null. Throws `FormError` for broken escapes. */
export function urlEncodedField(text: string, name: string): string | null {
  for (const pair of text.split("&")) {
    const equals = pair.indexOf("=");
    const field = equals < 0 ? pair : pair.slice(0, equals);
    if (pair === "" || !isNamed(field, name)) continue;
    return equals < 0 ? "" : decodeForm(pair.slice(equals + 1));
  }
  return null;
}

/** Names that cannot be decoded are names of something else. */
function isNamed(field: string, name: string): boolean {
  if (field === name) return true;
  try {
    return decodeForm(field) === name;
  } catch {
    return false;
  }
}

function decodeForm(text: string): string {
  return decodePercent(text.replaceAll("+", " "));
}

/** Percent escapes decoded as UTF-8. Throws `FormError`. */
export function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new FormError("Percent escapes must be two hexadecimal digits each, and UTF-8 text");
  }
}

/** The boundary of a multipart content type, or null. */
export function boundaryOf(contentType: string): string | null {
  const match = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType);
  return match?.[1] ?? match?.[2] ?? null;
}

const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/** The first part of this name in a multipart body, or null. Throws `FormError` for a broken body. */
export function multipartField(body: Uint8Array, boundary: string, name: string): string | null {
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  let start = indexOf(body, delimiter, 0);
  if (start !== 0 && !(start >= 2 && isLineEnd(body, start - 2))) throw unfinished();
  for (;;) {
    start += delimiter.length;
    if (body[start] === 0x2d && body[start + 1] === 0x2d) return null;
    if (!isLineEnd(body, start)) throw unfinished();
    const headEnd = indexOf(body, new Uint8Array([13, 10, 13, 10]), start);
    if (headEnd < 0) throw unfinished();
    const contentStart = headEnd + 4;
    let end = indexOf(body, delimiter, contentStart);
    while (end >= 0 && !isLineEnd(body, end - 2)) end = indexOf(body, delimiter, end + 1);
    if (end < 0) throw unfinished();
    const head = new TextDecoder().decode(body.subarray(start + 2, headEnd));
    if (partName(head) === name) return decodeText(body.subarray(contentStart, end - 2));
    start = end;
  }
}

function partName(head: string): string | null {
  const line = head.split("\r\n").find((each) => /^content-disposition:/i.test(each));
  const match = /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(line ?? "");
  return match?.[1] ?? match?.[2] ?? null;
}

function isLineEnd(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset] === carriageReturn && bytes[offset + 1] === lineFeed;
}

function unfinished(): FormError {
  return new FormError("The multipart body does not follow its boundary");
}

function indexOf(bytes: Uint8Array, pattern: Uint8Array, from: number): number {
  const first = pattern[0] as number;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let matched = 1;
    while (matched < pattern.length && bytes[at + matched] === pattern[matched]) matched++;
    if (matched === pattern.length) return at;
  }
  return -1;
}

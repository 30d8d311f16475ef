/**
 * Shows names, which are any bytes. A pipe gets the bytes as they are. On a terminal, bytes that could move
 * the cursor, change the direction of the text or are not text become `\xNN`. In JSON a name that is not
 * UTF-8 is written as base64.
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/** Control characters: C0, DEL, C1, line separators, and those that change the direction of text. */
const UNSAFE_PATTERN = /[\p{Cc}\p{Bidi_C}\u2028\u2029]/gu;
/** The same without tab and newline, which a message may have. */
const UNSAFE_IN_TEXT_PATTERN = /(?![\t\n])[\p{Cc}\p{Bidi_C}\u2028\u2029]/gu;

/** The text of a name, or null if its bytes are not UTF-8. */
export function textOfName(name: Uint8Array): string | null {
  try {
    return strict.decode(name);
  } catch {
    return null;
  }
}

/**
 * A name as it may be shown on a terminal: control characters, those that change the direction of text, and
 * every byte that is not part of valid UTF-8 become `\xNN`; nothing else is changed.
 */
export function printableName(name: Uint8Array): string {
  const text = textOfName(name);
  if (text !== null) return text.replace(UNSAFE_PATTERN, escaped);
  let shown = "";
  for (let start = 0; start < name.length;) {
    const length = validLength(name, start);
    const bytes = name.subarray(start, start + Math.max(1, length));
    shown += length === 0 ? hexOf(bytes) : strict.decode(bytes).replace(UNSAFE_PATTERN, escaped);
    start += bytes.length;
  }
  return shown;
}

/**
 * A path as one line for people. What `printableName` escapes becomes `\xNN`, and so does a byte that is not
 * UTF-8 (in a path a lone surrogate, see `ffi/path.ts`).
 */
export function printablePath(path: string): string {
  return path.replace(UNSAFE_PATTERN, escaped).replace(
    /[\ud800-\udfff]/gu,
    (letter) => hexOf(Uint8Array.of(letter.charCodeAt(0) & 0xff)),
  );
}

/** A message as it may be shown on a terminal: it may repeat what the user typed or a peer sent. */
export function printableText(text: string): string {
  return text.replace(UNSAFE_IN_TEXT_PATTERN, escaped);
}

function escaped(letter: string): string {
  return hexOf(utf8.encode(letter));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => "\\x" + byte.toString(16).padStart(2, "0")).join("");
}

/** An address as `HOST:PORT`, an IPv6 host in brackets. */
export function showAddress(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The bytes of a name to write: printable on a terminal, byte for byte elsewhere. */
export function nameForOutput(name: Uint8Array, toTerminal: boolean): Uint8Array {
  return toTerminal ? utf8.encode(printableName(name)) : name;
}

/** `{ key: "text" }`, or `{ keyBase64: "…" }` if the name is not UTF-8. */
export function nameField(field: string, name: Uint8Array): Record<string, string> {
  const text = textOfName(name);
  return text === null ? { [field + "Base64"]: name.toBase64() } : { [field]: text };
}

/** JSON on one line, which a terminal may show; a bigint becomes a decimal string. */
export function toJson(value: unknown): string {
  const json = JSON.stringify(
    value,
    (_, part) => typeof part === "bigint" ? part.toString() : part,
  );
  return json.replace(
    UNSAFE_PATTERN,
    (letter) => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/** Bytes of the well-formed UTF-8 sequence that begins at `start`; 0 where none does. */
function validLength(bytes: Uint8Array, start: number): number {
  const first = bytes[start] as number;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length < 2) return length;
  if (start + length > bytes.length) return 0;
  return textOfName(bytes.subarray(start, start + length)) === null ? 0 : length;
}

/**
 * Shows names, which are any bytes. A pipe gets the bytes as they are. On a terminal, bytes that could move
 * the cursor or are not text become `\xNN`. In JSON a name that is not UTF-8 is written as base64.
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/** The text of a name, or null if its bytes are not UTF-8. */
export function textOfName(name: Uint8Array): string | null {
  try {
    return strict.decode(name);
  } catch {
    return null;
  }
}

/**
 * A name as it may be shown on a terminal: bytes below 0x20, 0x7f and every byte that is not part
 * of valid UTF-8 become `\xNN`; nothing else is changed.
 */
export function printableName(name: Uint8Array): string {
  let shown = "";
  let start = 0;
  while (start < name.length) {
    const length = validLength(name, start);
    const byte = name[start] as number;
    if (length === 0 || byte < 0x20 || byte === 0x7f) {
      shown += "\\x" + byte.toString(16).padStart(2, "0");
      start += 1;
    } else {
      shown += strict.decode(name.subarray(start, start + length));
      start += length;
    }
  }
  return shown;
}

/**
 * A path as one line for people. A control character becomes `\xNN`, and so does a byte that is not UTF-8
 * (in a path a lone surrogate, see `ffi/path.ts`).
 */
export function printablePath(path: string): string {
  return path.replace(
    // deno-lint-ignore no-control-regex -- control characters are what must not reach a terminal
    /[\x00-\x1f\x7f\ud800-\udfff]/gu,
    (letter) => "\\x" + (letter.charCodeAt(0) & 0xff).toString(16).padStart(2, "0"),
  );
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

/** JSON on one line; a bigint becomes a decimal string. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, part) => typeof part === "bigint" ? part.toString() : part);
}

/** Bytes of the well-formed UTF-8 sequence that begins at `start`; 0 where none does. */
function validLength(bytes: Uint8Array, start: number): number {
  const first = bytes[start] as number;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length < 2) return length;
  if (start + length > bytes.length) return 0;
  return textOfName(bytes.subarray(start, start + length)) === null ? 0 : length;
}

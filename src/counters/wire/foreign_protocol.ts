/**
 * Tells HTTP and TLS from messages by the first bytes of a connection. Whatever the widths of the names, an
 * HTTP head of 520 bytes would be a message that is accepted: a counter of some 8·10¹⁸.
 *
 * A name, an increment or an offset may hold any of these bytes alone. What is recognized is so much of the
 * other protocol that a message which begins alike has both an absurd number and absurd names.
 */

export type ForeignProtocol = "HTTP" | "TLS";

const METHODS = "GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI";
const TARGET = String.raw`[^\x00-\x20\x7f]`;
const REQUEST_LINE = new RegExp(String.raw`^(?:${METHODS}) ${TARGET}+ HTTP/[12]\.[0-9]\r\n`);
/** A request line that goes on: its target is longer than a message. */
const REQUEST_LINE_START = new RegExp(
  String.raw`^(?:${METHODS}) (?:${TARGET}*|${TARGET}+ [HTP/.0-9]*\r?)$`,
);

const TLS_HELLO_BYTES = 11;

/**
 * The protocol that a connection speaks by its first bytes, `bytes[start … end)`, if it is not countd's.
 * `isWhole` is set when they hold the first message: it is known then that there is no request line in it.
 */
export function foreignProtocol(
  bytes: Uint8Array,
  { start, end, isWhole }: {
    readonly start: number;
    readonly end: number;
    readonly isWhole: boolean;
  },
): ForeignProtocol | null {
  const first = bytes[start];
  if (first === 0x16) return isTlsHello(bytes.subarray(start, end)) ? "TLS" : null;
  // "C" to "T": what a method may begin with.
  if (first === undefined || first < 0x43 || first > 0x54) return null;
  const text = firstLine(bytes.subarray(start, end));
  return REQUEST_LINE.test(text) || isWhole && REQUEST_LINE_START.test(text) ? "HTTP" : null;
}

/** One record of the handshake (22), version 3.x, that holds one ClientHello (1), version 3.x, and no more. */
function isTlsHello(bytes: Uint8Array): boolean {
  if (bytes.length < TLS_HELLO_BYTES) return false;
  const at = (index: number) => bytes[index] as number;
  const recordBytes = at(3) * 256 + at(4);
  const helloBytes = at(7) * 256 + at(8);
  return at(1) === 3 && at(2) <= 4 && at(5) === 1 && at(6) === 0 &&
    recordBytes === helloBytes + 4 && at(9) === 3 && at(10) <= 4;
}

/** Up to the end of the line, or a NUL, which no request line has. */
function firstLine(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += String.fromCharCode(byte);
    if (byte === 0x0a || byte === 0) break;
  }
  return text;
}

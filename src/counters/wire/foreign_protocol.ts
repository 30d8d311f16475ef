/**
 * Distinguishes HTTP and TLS from messages by the first bytes of a connection. Without it, an HTTP head of
 * 520 bytes can be an accepted message: a counter of some 8·10¹⁸.
 *
 * Any of these bytes may be in a name, an increment or an offset. So much of the other protocol is required
 * that a message with the same bytes has both an absurd number and absurd names.
 */

import { findHello } from "./hello.ts";

export type ForeignProtocol = "HTTP" | "TLS";

const METHODS = "GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI";
const TARGET = String.raw`[^\x00-\x20\x7f]`;
const REQUEST_LINE = new RegExp(String.raw`^(?:${METHODS}) ${TARGET}+ HTTP/[12]\.[0-9]\r\n`);
/** A request line that does not end in the message, because its target is too long. */
const REQUEST_LINE_START = new RegExp(
  String.raw`^(?:${METHODS}) (?:${TARGET}*|${TARGET}+ [HTP/.0-9]*\r?)$`,
);

const TLS_HELLO_BYTES = 11;

/**
 * The foreign protocol to which the first bytes of a connection, `bytes[start … end)`, belong; null if they
 * may be messages. `isWhole` is set if they hold the whole first message: a request line without an end is
 * HTTP only then.
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

/** The bytes of a connection, as far as they have come: `bytes[start … end)`. */
interface Received {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Checks the first bytes of one connection, up to its first whole message. */
export class FirstBytes {
  #isChecked = false;
  #mayBeHello = true;

  /** `messageBytes` is the size of the shortest message. */
  constructor(readonly messageBytes: number) {}

  /** True once the first whole message has arrived. */
  get isWhole(): boolean {
    return this.#isChecked;
  }

  /**
   * Whether what was received is a hello, or a part of one: to be asked before anything is consumed. Says so
   * once, and "none" of all later input.
   */
  hello({ bytes, start, end }: Received): "none" | "part" | "whole" {
    if (!this.#mayBeHello) return "none";
    const found = findHello(bytes, start, end);
    this.#mayBeHello = found === "part";
    this.#isChecked ||= found === "whole";
    return found;
  }

  /** The foreign protocol of what was received; null if it may be messages, and for all later input. */
  foreignProtocol({ bytes, start, end }: Received): ForeignProtocol | null {
    if (this.#isChecked) return null;
    this.#isChecked = end - start >= this.messageBytes;
    return foreignProtocol(bytes, { start, end, isWhole: this.#isChecked });
  }
}

/** One record of the handshake (22), version 3.x, that holds exactly one ClientHello (1), version 3.x. */
function isTlsHello(bytes: Uint8Array): boolean {
  if (bytes.length < TLS_HELLO_BYTES) return false;
  const at = (index: number) => bytes[index] as number;
  const recordBytes = at(3) * 256 + at(4);
  const helloBytes = at(7) * 256 + at(8);
  return at(1) === 3 && at(2) <= 4 && at(5) === 1 && at(6) === 0 &&
    recordBytes === helloBytes + 4 && at(9) === 3 && at(10) <= 4;
}

/** The bytes up to the end of the line, or up to a NUL, which no request line has. */
function firstLine(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += String.fromCharCode(byte);
    if (byte === 0x0a || byte === 0) break;
  }
  return text;
}

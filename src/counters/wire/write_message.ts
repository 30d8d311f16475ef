/**
 * The write port (TCP 48879). A message is increment, keyspace and key. With `--ack` three bytes come back
 * for each message, otherwise none, and at the end 16 bytes of totals.
 */

import { checkKey, checkKeyspaceName, encodeField } from "./field.ts";
import { INCREMENT_BYTES, type MessageSizes, writeMessageBytes } from "./message_sizes.ts";

/** The TCP port that a server takes increments on, unless told otherwise. */
export const WRITE_PORT = 48879;

export const WRITE_INCREMENT_OFFSET = 0;
export const WRITE_KEYSPACE_OFFSET = WRITE_INCREMENT_OFFSET + INCREMENT_BYTES;

/** Answer to one message under `--ack`. */
export const ANSWER_BYTES = 3;
const WIN = [0x57, 0x49, 0x4e] as const;
const NAY = [0x4e, 0x41, 0x59] as const;

/** The last bytes of a connection: accepted, refused, each a signed 64-bit integer. */
export const TOTALS_ACCEPTED_OFFSET = 0;
export const TOTALS_REFUSED_OFFSET = TOTALS_ACCEPTED_OFFSET + 8;
export const TOTALS_BYTES = TOTALS_REFUSED_OFFSET + 8;

/** Writes whole messages of one pair of widths into a buffer. */
export class WriteMessageEncoder {
  readonly messageBytes: number;
  readonly #sizes: MessageSizes;
  readonly #keyOffset: number;

  constructor(sizes: MessageSizes) {
    this.#sizes = sizes;
    this.#keyOffset = WRITE_KEYSPACE_OFFSET + sizes.keyspaceSize;
    this.messageBytes = writeMessageBytes(sizes);
  }

  /** Throws `UsageError` for a name that no message can carry. */
  check(keyspace: Uint8Array, key: Uint8Array): void {
    checkKeyspaceName(keyspace, this.#sizes.keyspaceSize);
    checkKey(key, this.#sizes.keySize);
  }

  /** Writes one message of checked names at `offset`; returns the offset after it. */
  encode(
    target: DataView<ArrayBuffer>,
    offset: number,
    message: {
      readonly keyspace: Uint8Array;
      readonly key: Uint8Array;
      readonly increment: bigint;
    },
  ): number {
    target.setBigInt64(offset + WRITE_INCREMENT_OFFSET, message.increment, true);
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    encodeField(bytes, offset + WRITE_KEYSPACE_OFFSET, {
      name: message.keyspace,
      size: this.#sizes.keyspaceSize,
    });
    encodeField(bytes, offset + this.#keyOffset, {
      name: message.key,
      size: this.#sizes.keySize,
    });
    return offset + this.messageBytes;
  }
}

/**
 * Writes `WIN` or `NAY` for the messages `first … first + count − 1`; returns the offset after them.
 * `verdicts` has a bit for each message, set if it was refused.
 */
export function encodeAnswers(
  verdicts: Uint8Array,
  range: { readonly first: number; readonly count: number },
  into: { readonly target: Uint8Array; readonly offset: number },
): number {
  const { target } = into;
  let offset = into.offset;
  for (let message = range.first; message < range.first + range.count; message++) {
    const refused = verdicts[message >>> 3]! & (1 << (message & 7));
    const answer = refused === 0 ? WIN : NAY;
    target[offset] = answer[0];
    target[offset + 1] = answer[1];
    target[offset + 2] = answer[2];
    offset += ANSWER_BYTES;
  }
  return offset;
}

/** 1 for `WIN`, 0 for `NAY`, −1 for any other three bytes. */
export function decodeAnswer(bytes: Uint8Array, offset: number): number {
  if (bytes[offset] === WIN[0] && bytes[offset + 1] === WIN[1] && bytes[offset + 2] === WIN[2]) {
    return 1;
  }
  if (bytes[offset] === NAY[0] && bytes[offset + 1] === NAY[1] && bytes[offset + 2] === NAY[2]) {
    return 0;
  }
  return -1;
}

/** Accepted and refused messages of one connection. */
export interface WriteTotals {
  /** Messages whose increments count. */
  readonly accepted: bigint;
  /** Messages that broke a rule; nothing of them counts. */
  readonly refused: bigint;
}

export function encodeTotals(totals: WriteTotals): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(TOTALS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(TOTALS_ACCEPTED_OFFSET, totals.accepted, true);
  view.setBigInt64(TOTALS_REFUSED_OFFSET, totals.refused, true);
  return bytes;
}

export function decodeTotals(bytes: Uint8Array, offset: number): WriteTotals {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    accepted: view.getBigInt64(offset + TOTALS_ACCEPTED_OFFSET, true),
    refused: view.getBigInt64(offset + TOTALS_REFUSED_OFFSET, true),
  };
}

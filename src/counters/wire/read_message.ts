/**
 * The read port (TCP 48880). A request is keyspace, offset, length. The offset −2^63 means an extended
 * request, in which a key field follows. A reply is a head of three integers, and then rows.
 */

import { getSafeInt64, INT64_MIN, setSafeInt64 } from "../../base/int64.ts";
import {
  checkKey,
  checkKeyspaceName,
  encodeField,
  fieldNameLength,
  fieldNameLengthInWords,
} from "./field.ts";
import { checkSizes, type MessageSizes } from "./message_sizes.ts";

/** The TCP port that a server answers requests on, unless told otherwise. */
export const READ_PORT = 48880;

/** A reply carries at most this many rows. */
export const REPLY_ROWS_MAX = 65_536;

/** The offset of an extended request, −2^63, and the values of its length. */
export const EXTENDED_OFFSET = INT64_MIN;
export const EXTENDED_KEY = 1;
export const EXTENDED_KEYSPACES = 2;

/** Errors in the place of `total`: negative Linux errno values, on every platform. */
export const READ_ERROR_DAMAGED = -5;
export const READ_ERROR_AGAIN = -11;
export const READ_ERROR_INVALID = -22;

export const REPLY_TOTAL_OFFSET = 0;
export const REPLY_ROWS_OFFSET = REPLY_TOTAL_OFFSET + 8;
export const REPLY_BYTES_OFFSET = REPLY_ROWS_OFFSET + 8;
export const REPLY_HEAD_BYTES = REPLY_BYTES_OFFSET + 8;

export const ROW_VALUE_OFFSET = 0;
export const ROW_KEY_LENGTH_OFFSET = ROW_VALUE_OFFSET + 8;
export const ROW_KEY_OFFSET = ROW_KEY_LENGTH_OFFSET + 2;
/** A key's own row begins with its rank. */
export const RANK_BYTES = 8;

/** Bytes of a row of a page, or of the list of keyspaces. */
export function rowBytes(nameLength: number): number {
  return ROW_KEY_OFFSET + nameLength;
}

/** The layout of a request: 272 bytes with the default sizes, and a key after it if it is extended. */
export interface RequestLayout {
  readonly keyspaceSize: number;
  readonly keySize: number;
  readonly offsetOffset: number;
  readonly lengthOffset: number;
  readonly requestBytes: number;
  readonly extendedBytes: number;
}

export function requestLayout(sizes: MessageSizes): RequestLayout {
  checkSizes(sizes);
  const offsetOffset = sizes.keyspaceSize;
  const lengthOffset = offsetOffset + 8;
  const requestBytes = lengthOffset + 8;
  const extendedBytes = requestBytes + sizes.keySize;
  return { ...sizes, offsetOffset, lengthOffset, requestBytes, extendedBytes };
}

export type RequestKind =
  /** Rows `offset … offset + length` of a keyspace. */
  | "page"
  /** Rank and value of one key. */
  | "key"
  /** Keyspaces from the first name after the key field. */
  | "keyspaces"
  /** To be answered with `READ_ERROR_INVALID`. */
  | "invalid";

/**
 * Reads requests from a byte stream without allocating: `next` fills the fields. The names stay in the
 * given bytes.
 */
export class RequestCursor {
  kind: RequestKind = "invalid";
  keyspaceStart = 0;
  keyspaceLength = 0;
  /** The key of an extended request. */
  keyStart = 0;
  keyLength = 0;
  /** Exact below 2^53. Greater offsets are behind every row anyway. */
  offset = 0;
  length = 0;

  readonly #layout: RequestLayout;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  /** A view of the bytes; null if they do not begin on a word. */
  #words: Int32Array | null = null;

  constructor(sizes: MessageSizes) {
    this.#layout = requestLayout(sizes);
  }

  /** A view of the bytes that `next` reads. */
  get view(): DataView<ArrayBuffer> {
    return this.#view;
  }

  /** Reads the request at `start`; returns the offset after it, or −1 if it is not whole yet. */
  next(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): number {
    const layout = this.#layout;
    if (end - start < layout.requestBytes) return -1;
    if (this.#bytes !== bytes) this.#setBytes(bytes);
    const view = this.#view;
    const offsetLow = view.getUint32(start + layout.offsetOffset, true);
    const offsetHigh = view.getInt32(start + layout.offsetOffset + 4, true);
    const lengthLow = view.getUint32(start + layout.lengthOffset, true);
    const lengthHigh = view.getInt32(start + layout.lengthOffset + 4, true);
    const isExtended = offsetLow === 0 && offsetHigh === -(2 ** 31);
    if (isExtended && end - start < layout.extendedBytes) return -1;

    this.keyspaceStart = start;
    this.keyspaceLength = this.#nameLength(start, start + layout.keyspaceSize);
    this.offset = offsetHigh * 2 ** 32 + offsetLow;
    this.length = lengthHigh * 2 ** 32 + lengthLow;
    this.kind = "invalid";
    if (isExtended) {
      this.#readExtended(start);
      return start + layout.extendedBytes;
    }
    if (this.keyspaceLength > 0 && offsetHigh >= 0 && lengthHigh >= 0) this.kind = "page";
    return start + layout.requestBytes;
  }

  #readExtended(start: number): void {
    this.keyStart = start + this.#layout.requestBytes;
    this.keyLength = this.#nameLength(this.keyStart, start + this.#layout.extendedBytes);
    if (this.keyLength < 0) return;
    if (this.length === EXTENDED_KEY && this.keyspaceLength > 0) this.kind = "key";
    if (this.length === EXTENDED_KEYSPACES && this.keyspaceLength === 0) this.kind = "keyspaces";
  }

  #nameLength(start: number, end: number): number {
    return this.#words !== null && (end & 3) === 0
      ? fieldNameLengthInWords(this.#bytes, this.#words, start, end)
      : fieldNameLength(this.#bytes, start, end);
  }

  #setBytes(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    const { buffer, byteOffset, byteLength } = bytes;
    this.#view = new DataView(buffer, byteOffset, byteLength);
    this.#words = byteOffset % 4 === 0
      ? new Int32Array(buffer, byteOffset, byteLength >>> 2)
      : null;
  }
}

/** Makes requests. Each method throws `UsageError` for a name that no request can carry. */
export class RequestEncoder {
  readonly #layout: RequestLayout;

  constructor(sizes: MessageSizes) {
    this.#layout = requestLayout(sizes);
  }

  page(
    keyspace: Uint8Array,
    range: { readonly offset: bigint; readonly length: bigint },
  ): Uint8Array<ArrayBuffer> {
    checkKeyspaceName(keyspace, this.#layout.keyspaceSize);
    return this.#request(this.#layout.requestBytes, keyspace, range);
  }

  key(keyspace: Uint8Array, key: Uint8Array): Uint8Array<ArrayBuffer> {
    checkKeyspaceName(keyspace, this.#layout.keyspaceSize);
    return this.#extended(keyspace, key, EXTENDED_KEY);
  }

  /** A request for the keyspaces whose names follow `after`; the first ones if it is empty. */
  keyspaces(after: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.#extended(new Uint8Array(0), after, EXTENDED_KEYSPACES);
  }

  #extended(keyspace: Uint8Array, key: Uint8Array, what: number): Uint8Array<ArrayBuffer> {
    checkKey(key, this.#layout.keySize);
    const range = { offset: EXTENDED_OFFSET, length: BigInt(what) };
    const request = this.#request(this.#layout.extendedBytes, keyspace, range);
    encodeField(request, this.#layout.requestBytes, { name: key, size: this.#layout.keySize });
    return request;
  }

  #request(
    size: number,
    keyspace: Uint8Array,
    range: { readonly offset: bigint; readonly length: bigint },
  ): Uint8Array<ArrayBuffer> {
    const request = new Uint8Array(size);
    const view = new DataView(request.buffer);
    request.set(keyspace, 0);
    view.setBigInt64(this.#layout.offsetOffset, range.offset, true);
    view.setBigInt64(this.#layout.lengthOffset, range.length, true);
    return request;
  }
}

/** The head of a reply. `total` is the number of counters, or a negative error. */
export interface ReplyHead {
  readonly total: number;
  readonly rows: number;
  readonly bytes: number;
}

export function encodeReplyHead(view: DataView, offset: number, head: ReplyHead): void {
  setSafeInt64(view, offset + REPLY_TOTAL_OFFSET, head.total);
  setSafeInt64(view, offset + REPLY_ROWS_OFFSET, head.rows);
  setSafeInt64(view, offset + REPLY_BYTES_OFFSET, head.bytes);
}

export function decodeReplyHead(bytes: Uint8Array, offset: number): ReplyHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    total: getSafeInt64(view, offset + REPLY_TOTAL_OFFSET),
    rows: getSafeInt64(view, offset + REPLY_ROWS_OFFSET),
    bytes: getSafeInt64(view, offset + REPLY_BYTES_OFFSET),
  };
}

/** Writes one row; returns the offset after it. The value is given in its two 32-bit halves. */
export function encodeRow(
  target: Uint8Array,
  offset: number,
  row: { readonly low: number; readonly high: number; readonly key: Uint8Array },
): number {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setInt32(offset + ROW_VALUE_OFFSET, row.low, true);
  view.setInt32(offset + ROW_VALUE_OFFSET + 4, row.high, true);
  view.setUint16(offset + ROW_KEY_LENGTH_OFFSET, row.key.length, true);
  target.set(row.key, offset + ROW_KEY_OFFSET);
  return offset + ROW_KEY_OFFSET + row.key.length;
}

/** A counter in a reply, or a keyspace. */
export interface Row {
  /** The count, a signed 64-bit integer; of a keyspace, how many counters it has. */
  readonly value: bigint;
  /** The key, or the name of a keyspace. A view of the reply. */
  readonly key: Uint8Array;
}

/** The rows of a reply's body. Throws `RangeError` if the body does not hold `count` rows. */
export function* decodeRows(body: Uint8Array, count: number): Generator<Row> {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let offset = 0;
  for (let row = 0; row < count; row++) {
    const value = view.getBigInt64(offset + ROW_VALUE_OFFSET, true);
    const keyLength = view.getUint16(offset + ROW_KEY_LENGTH_OFFSET, true);
    const keyStart = offset + ROW_KEY_OFFSET;
    if (keyStart + keyLength > body.length) throw new RangeError("A row is cut off");
    yield { value, key: body.subarray(keyStart, keyStart + keyLength) };
    offset = keyStart + keyLength;
  }
  if (offset !== body.length) throw new RangeError("Bytes follow the last row");
}

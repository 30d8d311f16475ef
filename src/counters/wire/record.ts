/**
 * The compact record: what a write message becomes inside a commit log.
 *
 * Invariants of a record batch:
 * 1. Records follow each other without a gap; each is a multiple of 8 bytes and begins with a kind
 *    that is not 0, so no legal byte run is all zeros.
 * 2. Definitions are numbered 0, 1, 2 … in order; a counter names a keyspace that is defined before it
 *    in the same batch. So a batch can be read alone.
 * 3. Reserved bytes and the bytes that pad a name are 0; a name holds no NUL.
 */

import { CountdError } from "../../base/errors.ts";
import { joinInt64 } from "../../base/int64.ts";
import { NAME_SIZE_MAX } from "./message_sizes.ts";

export const RECORD_KIND_COUNTER = 1;
export const RECORD_KIND_KEYSPACE = 2;

export const RECORD_ALIGNMENT = 8;

export const RECORD_KIND_OFFSET = 0;
export const RECORD_FLAGS_OFFSET = RECORD_KIND_OFFSET + 1;
export const RECORD_NAME_LENGTH_OFFSET = RECORD_FLAGS_OFFSET + 1;
export const RECORD_KEYSPACE_OFFSET = RECORD_NAME_LENGTH_OFFSET + 2;
export const RECORD_RESERVED_OFFSET = RECORD_KEYSPACE_OFFSET + 2;
export const RECORD_INCREMENT_OFFSET = RECORD_RESERVED_OFFSET + 2;
export const RECORD_NAME_OFFSET = RECORD_INCREMENT_OFFSET + 8;

/**
 * The same places as words, and the place of the name length in the first word, for loops over aligned
 * records. The hottest loops copy them into constants of their own file: the compiler does not treat an
 * imported constant as one, and the fold added 8 % slower. They also take records apart by themselves: a
 * cursor took twice the time for that part.
 */
export const RECORD_KEYSPACE_WORD = RECORD_KEYSPACE_OFFSET / 4;
export const RECORD_INCREMENT_WORD = RECORD_INCREMENT_OFFSET / 4;
export const RECORD_NAME_WORD = RECORD_NAME_OFFSET / 4;
export const RECORD_NAME_LENGTH_SHIFT = 8 * RECORD_NAME_LENGTH_OFFSET;

/** A record with the longest name. */
export const RECORD_BYTES_MAX = RECORD_NAME_OFFSET + NAME_SIZE_MAX;

/**
 * Most keyspaces of a batch. The field could number 65,536. Fewer keep the table of every writer small, and
 * if there are more, a new batch begins.
 */
export const BATCH_KEYSPACES_MAX = 4096;

/** Bytes of a record whose name has `nameLength` bytes. */
export function recordBytes(nameLength: number): number {
  return RECORD_NAME_OFFSET + ((nameLength + 7) & ~7);
}

/** Bytes that are not a record batch. */
export class BadRecordError extends CountdError {
  override readonly name: string = "BadRecordError";
  override readonly kind = "corruption";

  constructor(
    message: string,
    /** Byte offset of the record, in the array that was read. */
    readonly offset: number,
  ) {
    super(`Bad record at byte ${offset}: ${message}`);
  }
}

/** Writes the definition of keyspace `number`; returns the offset after it. */
export function encodeDefinition(
  target: Uint8Array,
  offset: number,
  definition: { readonly number: number; readonly name: Uint8Array },
): number {
  const { number, name } = definition;
  return encodeRecord(target, offset, RECORD_KIND_KEYSPACE, number, 0n, name);
}

/** Writes one counter record; returns the offset after it. */
export function encodeCounter(
  target: Uint8Array,
  offset: number,
  counter: { readonly keyspace: number; readonly key: Uint8Array; readonly increment: bigint },
): number {
  const { keyspace, key, increment } = counter;
  return encodeRecord(target, offset, RECORD_KIND_COUNTER, keyspace, increment, key);
}

/**
 * Reads a record batch without allocating: `next()` fills the fields. It checks the lengths and numbers
 * that a reader depends on, and that reserved bytes are 0; `checkBatch` also checks padding.
 */
export class RecordCursor {
  kind = 0;
  /** Number of the keyspace that this record defines or names. */
  keyspace = 0;
  nameStart = 0;
  nameLength = 0;
  /** The two halves of the increment, both as signed 32-bit integers. */
  incrementHigh = 0;
  incrementLow = 0;

  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #next: number;
  readonly #end: number;
  #start = 0;
  #definitions = 0;

  /** `start` need not be aligned; `end` is where the batch ends. */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#next = start;
    this.#end = end;
  }

  /** Offset of the record that `next` read last. */
  get offset(): number {
    return this.#start;
  }

  /**
   * Reads the next record; false at the end of the batch. Throws `BadRecordError` if the bytes are not a
   * record.
   */
  next(): boolean {
    const start = this.#next;
    if (start === this.#end) return false;
    this.#start = start;
    if (this.#end - start < RECORD_NAME_OFFSET) throw new BadRecordError("cut off", start);
    const view = this.#view;
    const kind = view.getUint8(start + RECORD_KIND_OFFSET);
    const nameLength = view.getUint16(start + RECORD_NAME_LENGTH_OFFSET, true);
    const keyspace = view.getUint16(start + RECORD_KEYSPACE_OFFSET, true);
    // Counted without its flags, a record would mean something else.
    if (view.getUint8(start + RECORD_FLAGS_OFFSET) !== 0) {
      throw new BadRecordError("unknown flags", start);
    }
    if (view.getUint16(start + RECORD_RESERVED_OFFSET, true) !== 0) {
      throw new BadRecordError("reserved bytes are not 0", start);
    }
    if (nameLength > NAME_SIZE_MAX) throw new BadRecordError("name is too long", start);
    const next = start + recordBytes(nameLength);
    if (next > this.#end) throw new BadRecordError("name is cut off", start);
    if (kind === RECORD_KIND_COUNTER) {
      if (keyspace >= this.#definitions) throw new BadRecordError("unknown keyspace", start);
    } else if (kind === RECORD_KIND_KEYSPACE) {
      if (keyspace !== this.#definitions) throw new BadRecordError("wrong number", start);
      if (keyspace >= BATCH_KEYSPACES_MAX) throw new BadRecordError("too many keyspaces", start);
      if (nameLength === 0) throw new BadRecordError("empty keyspace", start);
      this.#definitions++;
    } else {
      throw new BadRecordError(`unknown kind ${kind}`, start);
    }
    this.kind = kind;
    this.keyspace = keyspace;
    this.nameStart = start + RECORD_NAME_OFFSET;
    this.nameLength = nameLength;
    this.incrementLow = view.getInt32(start + RECORD_INCREMENT_OFFSET, true);
    this.incrementHigh = view.getInt32(start + RECORD_INCREMENT_OFFSET + 4, true);
    this.#next = next;
    return true;
  }

  /** Copies the name of the current record. */
  name(): Uint8Array {
    return this.#bytes.slice(this.nameStart, this.nameStart + this.nameLength);
  }

  increment(): bigint {
    return joinInt64(this.incrementHigh, this.incrementLow);
  }
}

/** Checks a whole batch against every rule; returns the number of its counter records. */
export function checkBatch(bytes: Uint8Array, start: number, end: number): number {
  const cursor = new RecordCursor(bytes, start, end);
  let counters = 0;
  while (cursor.next()) {
    const { offset, nameStart, nameLength } = cursor;
    for (let at = nameStart; at < nameStart + nameLength; at++) {
      if (bytes[at] === 0) throw new BadRecordError("name holds NUL", offset);
    }
    for (let at = nameStart + nameLength; at < offset + recordBytes(nameLength); at++) {
      if (bytes[at] !== 0) throw new BadRecordError("padding is not 0", offset);
    }
    if (cursor.kind === RECORD_KIND_COUNTER) counters++;
    else if ((cursor.incrementLow | cursor.incrementHigh) !== 0) {
      throw new BadRecordError("definition with an increment", offset);
    }
  }
  return counters;
}

function encodeRecord(
  target: Uint8Array,
  offset: number,
  kind: number,
  keyspace: number,
  increment: bigint,
  name: Uint8Array,
): number {
  const nameStart = offset + RECORD_NAME_OFFSET;
  const next = offset + recordBytes(name.length);
  const view = new DataView(target.buffer, target.byteOffset + offset, RECORD_NAME_OFFSET);
  view.setUint8(RECORD_KIND_OFFSET, kind);
  view.setUint8(RECORD_FLAGS_OFFSET, 0);
  view.setUint16(RECORD_NAME_LENGTH_OFFSET, name.length, true);
  // With the reserved bytes behind it.
  view.setUint32(RECORD_KEYSPACE_OFFSET, keyspace, true);
  view.setBigInt64(RECORD_INCREMENT_OFFSET, increment, true);
  target.set(name, nameStart);
  target.fill(0, nameStart + name.length, next);
  return next;
}

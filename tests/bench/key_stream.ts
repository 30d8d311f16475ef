/**
 * The recorded stream of the ingest benches: which key each increment goes to. The same seed gives the
 * same stream to every side.
 */

import { Random } from "../support/random.ts";

/** Bytes of every key. */
export const keyBytes = 16;
const keyWords = keyBytes / 4;

/** Key numbers drawn by Zipf's law with exponent 1: key k comes 1/(k+1) as often as key 0. */
export function zipfStream(count: number, keys: number, seed: number): Uint32Array {
  const cumulative = new Float64Array(keys);
  let sum = 0;
  for (let key = 0; key < keys; key++) {
    sum += 1 / (key + 1);
    cumulative[key] = sum;
  }
  const random = new Random(seed);
  const stream = new Uint32Array(count);
  for (let index = 0; index < count; index++) {
    const wanted = random.fraction() * sum;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cumulative[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    stream[index] = low;
  }
  return stream;
}

/** All keys, 16 bytes each, one after the other. */
export function keyTable(keys: number): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const table = new Uint8Array(keys * keyBytes);
  for (let key = 0; key < keys; key++) {
    encoder.encodeInto(
      `k${String(key).padStart(keyBytes - 1, "0")}`,
      table.subarray(key * keyBytes),
    );
  }
  return table;
}

/** The keys of all increments in their order, as `zipfStream` draws them: what the sender puts in. */
export function recordKeys(stream: Uint32Array, keys: number): Uint8Array<ArrayBuffer> {
  const table = new Int32Array(keyTable(keys).buffer);
  const words = new Int32Array(stream.length * keyWords);
  for (let index = 0; index < stream.length; index++) {
    const from = stream[index]! * keyWords;
    for (let at = 0; at < keyWords; at++) words[index * keyWords + at] = table[from + at]!;
  }
  return new Uint8Array(words.buffer);
}

/**
 * A run of equal messages in which only the key changes: `message` with its key at `keyOffset`. Keys that
 * are aligned to words are copied as words, and come from one sequence of keys. This keeps the sender cheap,
 * which shares the machine with the server that it measures.
 */
export class MessageRun {
  readonly bytes: Uint8Array;
  readonly #words: Int32Array | null;
  readonly #keyWords: Int32Array;

  constructor(
    message: Uint8Array,
    readonly keyOffset: number,
    readonly capacity: number,
    /** As `recordKeys` makes them. */
    readonly keys: Uint8Array<ArrayBuffer>,
  ) {
    this.bytes = new Uint8Array(message.length * capacity);
    for (let index = 0; index < capacity; index++) this.bytes.set(message, index * message.length);
    const isAligned = message.length % 4 === 0 && keyOffset % 4 === 0;
    this.#words = isAligned ? new Int32Array(this.bytes.buffer) : null;
    this.#keyWords = new Int32Array(keys.buffer);
  }

  /** The messages of the increments `from … from + count`. */
  fill(from: number, count: number): Uint8Array {
    const { bytes } = this;
    const size = bytes.length / this.capacity;
    if (this.#words === null) this.#fillBytes(from, count, size);
    else this.#fillWords(this.#words, from, count, size / 4);
    return bytes.subarray(0, count * size);
  }

  #fillBytes(from: number, count: number, size: number): void {
    const { bytes, keys, keyOffset } = this;
    for (let index = 0; index < count; index++) {
      const source = (from + index) * keyBytes;
      const target = index * size + keyOffset;
      for (let at = 0; at < keyBytes; at++) bytes[target + at] = keys[source + at]!;
    }
  }

  #fillWords(words: Int32Array, from: number, count: number, size: number): void {
    const keys = this.#keyWords;
    let source = from * keyWords;
    let target = this.keyOffset / 4;
    for (let index = 0; index < count; index++) {
      for (let at = 0; at < keyWords; at++) words[target + at] = keys[source + at]!;
      source += keyWords;
      target += size;
    }
  }
}

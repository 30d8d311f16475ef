/**
 * Sums the increments of record batches by keyspace and key: the first half of a fold.
 *
 * One hash table for all keyspaces, with open addressing. A slot has two words: the hash, and the place of
 * the entry in the arena. An entry (see `tree/write/batch.ts`) has the sum beside the key. So a record of a
 * known key costs one access to the table and one to the arena. Keys are hashed and compared as 32-bit
 * words, because in records they are padded with NUL, and no key holds NUL.
 *
 * Invariants: 1. sums are exact, whatever their size; 2. a zero increment makes no entry; 3. an entry
 * stays where it is until `clear`.
 */

import { byteText } from "../../base/byte_text.ts";
import { assert } from "../../base/assert.ts";
import { KeyedHash, PROBES_MAX } from "../../base/keyed_hash.ts";
import { mapKey, textOfMapKey } from "../../base/map_key.ts";
import { ENTRY_HIGH_WORD, ENTRY_KEY_WORD, ENTRY_LENGTH_MASK, ENTRY_LOW_WORD } from "../tree/mod.ts";
import {
  BadRecordError,
  BATCH_KEYSPACES_MAX,
  NAME_SIZE_MAX,
  RECORD_INCREMENT_WORD,
  RECORD_KEYSPACE_WORD,
  RECORD_KIND_COUNTER,
  RECORD_KIND_KEYSPACE,
  RECORD_NAME_LENGTH_SHIFT,
  RECORD_NAME_WORD,
} from "../wire/mod.ts";
import { batchesInKeyOrder, KEYSPACE_SHIFT, type KeyspaceBatch } from "./keyspace_batches.ts";

const KEYSPACES_MAX = 1 << (31 - KEYSPACE_SHIFT);

const KEYSPACE_WORD = RECORD_KEYSPACE_WORD;
const INCREMENT_WORD = RECORD_INCREMENT_WORD;
const NAME_WORD = RECORD_NAME_WORD;
const NAME_LENGTH_SHIFT = RECORD_NAME_LENGTH_SHIFT;

/** Records that are looked up together. */
const GROUP_RECORDS = 64;

/** A full table makes searches long, an empty one causes cache misses: both cost time. */
const LOAD_MAX = 0.7;

const TABLE_SLOTS_MIN = 1 << 12;
const ARENA_WORDS_MIN = 1 << 16;
const ARENA_WORDS_STEP = 1 << 22;
/** 64 MiB. Growing to that size again costs little. */
const ARENA_WORDS_KEPT = 1 << 24;

/** Memory is released if a fold used less than one part in this many. */
const SHRINK_FACTOR = 16;

const NOT_DEFINED = -1;
const NOT_ACCEPTED = -2;

export interface AggregatorLimits {
  /** `isFull` from this number of different keys on, all keyspaces together. */
  readonly keysMax: number;
  /** `isFull` from this number of bytes of keys and sums on. */
  readonly arenaBytesMax: number;
  /** `isFull` from this number of keyspaces on. One log may have more: the caller leaves them out. */
  readonly keyspacesMax: number;
}

/** About 4 million keys of 16 bytes, sorted and applied, or 500,000 keyspaces stay within 600 MiB. */
export const DEFAULT_AGGREGATOR_LIMITS: AggregatorLimits = {
  keysMax: 4_000_000,
  arenaBytesMax: 160 * 1024 * 1024,
  keyspacesMax: 500_000,
};

export class Aggregator {
  /** Counter records that were added, with those whose increment is zero. */
  records = 0;

  readonly limits: AggregatorLimits;
  #words = new Int32Array(ARENA_WORDS_MIN);
  #wordsUsed = 0;
  /** Pairs: hash, place of the entry + 1 (0: the slot is free). */
  #table = new Int32Array(2 * TABLE_SLOTS_MIN);
  #hash = new KeyedHash();
  /** A key is further from its own slot than chance explains. */
  #hasProbedFar = false;
  #keys = 0;
  #wraps = new Map<number, number>();
  /** The `mapKey` of each keyspace, by number. */
  #keyspaces: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** The number, in this object, of each keyspace of the current batch. */
  readonly #defined = new Int32Array(BATCH_KEYSPACES_MAX);

  /** Records that are parsed and wait to be added together. */
  readonly #groupHeads = new Int32Array(GROUP_RECORDS);
  /** Where their keys begin. */
  readonly #groupStarts = new Int32Array(GROUP_RECORDS);
  readonly #groupHashes = new Int32Array(GROUP_RECORDS);
  readonly #groupPlaces = new Int32Array(GROUP_RECORDS);
  /** Keeps the prefetch reads from being optimised away. */
  #touched = 0;

  constructor(limits: AggregatorLimits = DEFAULT_AGGREGATOR_LIMITS) {
    this.limits = limits;
  }

  /** Different keys, all keyspaces together. */
  get distinctKeys(): number {
    return this.#keys;
  }

  /** Whether the sums should be folded before more is added. Adding still works. */
  get isFull(): boolean {
    return this.#keys >= this.limits.keysMax ||
      this.#wordsUsed * 4 >= this.limits.arenaBytesMax ||
      this.#keyspaces.length >= this.limits.keyspacesMax;
  }

  /**
   * Adds the record batch in `bytes[start, end)`. `accepts` is called once for each keyspace that the batch
   * defines; records of a keyspace that is not accepted are skipped. Throws `BadRecordError`.
   */
  add(
    bytes: Uint8Array,
    start: number,
    end: number,
    accepts: (keyspace: Uint8Array) => boolean,
  ): void {
    const isAligned = ((bytes.byteOffset + start) & 3) === 0;
    const source = isAligned ? bytes.subarray(start, end) : bytes.slice(start, end);
    const length = source.byteLength >> 2;
    const records = new Int32Array(source.buffer, source.byteOffset, length);
    this.#defined.fill(NOT_DEFINED, 0, 1);
    let definitions = 0;
    let added = 0;
    let grouped = 0;
    let at = 0;
    while (at < length) {
      if (at + NAME_WORD > length) throw new BadRecordError("cut off", start + at * 4);
      const head = records[at]!;
      // With the flags, of which none is known yet.
      const kind = head & 0xffff;
      const nameLength = head >>> NAME_LENGTH_SHIFT;
      // With the reserved bytes behind it: no keyspace has a number that large.
      const number = records[at + KEYSPACE_WORD]! >>> 0;
      if (nameLength > NAME_SIZE_MAX) throw new BadRecordError("name too long", start + at * 4);
      const next = at + NAME_WORD + (((nameLength + 7) >> 3) << 1);
      if (next > length) throw new BadRecordError("name is cut off", start + at * 4);
      if (kind === RECORD_KIND_COUNTER) {
        if (number >= definitions) throw new BadRecordError("unknown keyspace", start + at * 4);
        const keyspace = this.#defined[number]!;
        if (keyspace !== NOT_ACCEPTED) {
          added++;
          if ((records[at + INCREMENT_WORD]! | records[at + INCREMENT_WORD + 1]!) !== 0) {
            this.#groupHeads[grouped] = (keyspace << KEYSPACE_SHIFT) | nameLength;
            this.#groupStarts[grouped++] = at + NAME_WORD;
            if (grouped === GROUP_RECORDS) {
              this.#addGroup(records, grouped);
              grouped = 0;
            }
          }
        }
      } else if (kind === RECORD_KIND_KEYSPACE) {
        if (number !== definitions || number >= BATCH_KEYSPACES_MAX || nameLength === 0) {
          throw new BadRecordError("wrong definition", start + at * 4);
        }
        const nameStart = (at + NAME_WORD) * 4;
        const name = source.subarray(nameStart, nameStart + nameLength);
        this.#defined[definitions++] = accepts(name) ? this.#numberOf(name) : NOT_ACCEPTED;
      } else {
        throw new BadRecordError(`unknown kind ${kind}`, start + at * 4);
      }
      at = next;
    }
    this.#addGroup(records, grouped);
    if (at * 4 !== source.byteLength) throw new BadRecordError("cut off", start + at * 4);
    this.records += added;
  }

  /**
   * Yields the sums of each keyspace, with keys in order, and clears them here before the last one. Batches are
   * made one by one, because many keyspaces would need much memory; a large arena is released first, because
   * applying a large batch takes as much memory again.
   */
  *takeBatches(): Generator<KeyspaceBatch> {
    const keyspaces = this.#keyspaces;
    const batches = batchesInKeyOrder({
      words: this.#words,
      wordsUsed: this.#wordsUsed,
      count: this.#keys,
      wraps: this.#wraps,
      keyspaces: keyspaces.length,
    });
    for (let number = 0; number < keyspaces.length; number++) {
      const batch = batches(number);
      if (number === keyspaces.length - 1) this.#empty();
      const name = textOfMapKey(keyspaces[number]!);
      yield { keyspace: Uint8Array.from(name, (letter) => letter.charCodeAt(0)), batch };
    }
  }

  #empty(): void {
    if (this.#wordsUsed > ARENA_WORDS_KEPT) this.#words = new Int32Array(ARENA_WORDS_MIN);
    this.clear();
  }

  /** Clears everything. Memory is kept if the next fold is likely to need as much. */
  clear(): void {
    if (this.#keys * SHRINK_FACTOR * 4 < this.#table.length) {
      this.#table = new Int32Array(2 * TABLE_SLOTS_MIN);
    } else this.#table.fill(0);
    if (this.#wordsUsed * SHRINK_FACTOR < this.#words.length) {
      this.#words = new Int32Array(ARENA_WORDS_MIN);
    }
    this.#hash = new KeyedHash();
    this.#wordsUsed = 0;
    this.#keys = 0;
    this.#wraps = new Map();
    this.#keyspaces = [];
    this.#numbers.clear();
    this.records = 0;
  }

  #numberOf(name: Uint8Array): number {
    const text = mapKey(byteText(name));
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#keyspaces.length;
    assert(number < KEYSPACES_MAX, "Keyspaces of one fold fit their field");
    this.#keyspaces.push(text);
    this.#numbers.set(text, number);
    return number;
  }

  /**
   * Adds the increments of a group of records. With millions of keys, table and arena are in main memory.
   * All slots of a group are read before any is used, so that the processor waits for many at once. These
   * reads have loops of their own, because between the hashing only a few would be in flight at a time.
   */
  #addGroup(records: Int32Array, count: number): void {
    const table = this.#table;
    const words = this.#words;
    const mask = table.length - 2;
    const hashes = this.#groupHashes;
    const heads = this.#groupHeads;
    this.#hash.ofEach(records, this.#groupStarts, heads, ENTRY_LENGTH_MASK, count, hashes);
    const places = this.#groupPlaces;
    for (let index = 0; index < count; index++) {
      places[index] = table[((hashes[index]! << 1) & mask) + 1]!;
    }
    let touched = 0;
    for (let index = 0; index < count; index++) {
      const place = places[index]!;
      if (place !== 0) touched ^= words[place - 1]!;
    }
    this.#touched = touched;
    for (let index = 0; index < count; index++) {
      this.#addOne(this.#groupHashes[index]!, this.#groupHeads[index]!, records, index);
    }
    // Only now, because the hashes of the whole group were made with the old secrets.
    if (this.#hasProbedFar) this.#hashAnew();
  }

  /** Adds the increment of one record of the group. */
  #addOne(hash: number, head: number, records: Int32Array, index: number): void {
    const from = this.#groupStarts[index]!;
    const keyWords = ((head & ENTRY_LENGTH_MASK) + 3) >> 2;
    const high = records[from - NAME_WORD + INCREMENT_WORD + 1]!;
    const low = records[from - NAME_WORD + INCREMENT_WORD]!;
    const table = this.#table;
    const words = this.#words;
    const mask = table.length - 2;
    let slot = (hash << 1) & mask;
    let place = table[slot + 1]!;
    while (place !== 0) {
      if (table[slot] === hash) {
        const entry = place - 1;
        let same = words[entry] === head;
        for (let word = 0; same && word < keyWords; word++) {
          same = words[entry + ENTRY_KEY_WORD + word] === records[from + word];
        }
        if (same) {
          this.#sum(entry, high, low);
          return;
        }
      }
      slot = (slot + 2) & mask;
      place = table[slot + 1]!;
    }
    this.#insert(slot, hash, head, records, from, keyWords, high, low);
  }

  #sum(entry: number, high: number, low: number): void {
    const words = this.#words;
    const oldHigh = words[entry + ENTRY_HIGH_WORD]!;
    const oldLow = words[entry + ENTRY_LOW_WORD]!;
    const newLow = (oldLow + low) | 0;
    const newHigh = (oldHigh + high + (newLow >>> 0 < low >>> 0 ? 1 : 0)) | 0;
    words[entry + ENTRY_HIGH_WORD] = newHigh;
    words[entry + ENTRY_LOW_WORD] = newLow;
    if (((oldHigh ^ newHigh) & (high ^ newHigh)) < 0) {
      this.#wraps.set(entry, (this.#wraps.get(entry) ?? 0) + (high < 0 ? -1 : 1));
    }
  }

  #insert(
    slot: number,
    hash: number,
    head: number,
    source: Int32Array,
    from: number,
    keyWords: number,
    high: number,
    low: number,
  ): void {
    const entry = this.#wordsUsed;
    const end = entry + ENTRY_KEY_WORD + keyWords;
    if (end > this.#words.length) this.#growArena(end);
    const words = this.#words;
    words[entry] = head;
    words[entry + ENTRY_HIGH_WORD] = high;
    words[entry + ENTRY_LOW_WORD] = low;
    for (let index = 0; index < keyWords; index++) {
      words[entry + ENTRY_KEY_WORD + index] = source[from + index]!;
    }
    this.#wordsUsed = end;
    this.#table[slot] = hash;
    this.#table[slot + 1] = entry + 1;
    this.#keys++;
    const table = this.#table;
    if (((slot - (hash << 1)) & (table.length - 2)) > 2 * PROBES_MAX) this.#hasProbedFar = true;
    if (this.#keys * 2 > this.#table.length * LOAD_MAX) this.#growTable();
  }

  /**
   * Doubles up to a step, then grows at once to the limit: untouched memory costs nothing, but copying
   * hundreds of megabytes does.
   */
  #growArena(needed: number): void {
    const limit = this.limits.arenaBytesMax / 4 + ARENA_WORDS_STEP;
    const doubled = this.#words.length * 2;
    const length = doubled <= ARENA_WORDS_STEP ? doubled : Math.max(limit, doubled);
    const larger = new Int32Array(Math.max(needed, length));
    larger.set(this.#words.subarray(0, this.#wordsUsed));
    this.#words = larger;
  }

  #growTable(): void {
    const old = this.#table;
    const table = new Int32Array(old.length * 2);
    const mask = table.length - 2;
    for (let index = 0; index < old.length; index += 2) {
      const place = old[index + 1]!;
      if (place === 0) continue;
      const hash = old[index]!;
      let slot = (hash << 1) & mask;
      while (table[slot + 1] !== 0) slot = (slot + 2) & mask;
      table[slot] = hash;
      table[slot + 1] = place;
    }
    this.#table = table;
  }

  /** Gives all keys new hashes, and so other slots, because some were made to collide. */
  #hashAnew(): void {
    this.#hasProbedFar = false;
    if (!this.#hash.renew(this.#keys)) return;
    const table = this.#table;
    const words = this.#words;
    const mask = table.length - 2;
    table.fill(0);
    for (let entry = 0; entry < this.#wordsUsed;) {
      const from = entry + ENTRY_KEY_WORD;
      const end = from + (((words[entry]! & ENTRY_LENGTH_MASK) + 3) >> 2);
      const hash = this.#hash.of(words, from, end, words[entry]!);
      let slot = (hash << 1) & mask;
      while (table[slot + 1] !== 0) slot = (slot + 2) & mask;
      table[slot] = hash;
      table[slot + 1] = entry + 1;
      entry = end;
    }
  }
}

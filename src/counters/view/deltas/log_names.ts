/**
 * Which keyspaces one log names, so that a keyspace without increments in it costs no walk through its
 * records. It is a Bloom filter: a keyspace that is named is always found, another one seldom. Its hashes are
 * keyed, so no peer can choose names that are found although they are not there.
 */

import { HEAD_PAGE_BYTES } from "../../commitlog/mod.ts";
import { KeyedHash } from "../../../base/keyed_hash.ts";

/** A log with the most keyspaces that fit into it has some 8 bits for each: one in 30 others is found. */
const LOG_BYTES_A_BIT = 16;
const BITS_MIN = 1024;
const PROBES = 3;

/** The two hashes of a name, for the filters of all logs of one reader. */
export class NameHashes {
  readonly #one = new KeyedHash();
  readonly #other = new KeyedHash();
  first = 0;
  second = 0;

  /** Sets both hashes for the name at `words[at]`, NUL padded. */
  hash(words: Int32Array, at: number, length: number): void {
    const end = at + ((length + 3) >>> 2);
    this.first = this.#one.of(words, at, end, length);
    // Odd, so that the probes differ.
    this.second = this.#other.of(words, at, end, length) | 1;
  }
}

export class LogNames {
  /** Frames below this offset are in the filter. */
  indexedTo = HEAD_PAGE_BYTES;
  /** Set if a part of the log cannot be read: it may name any keyspace. */
  mayHaveAny = false;
  readonly #bits: Int32Array;
  readonly #hashes: NameHashes;

  constructor(readonly generation: bigint, logSize: number, hashes: NameHashes) {
    const bits = Math.max(BITS_MIN, 2 ** Math.floor(Math.log2(logSize / LOG_BYTES_A_BIT)));
    this.#bits = new Int32Array(bits / 32);
    this.#hashes = hashes;
  }

  /** Adds the name at `words[at]`, NUL padded. */
  add(words: Int32Array, at: number, length: number): void {
    const hashes = this.#hashes;
    hashes.hash(words, at, length);
    let { first } = hashes;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = first & (this.#bits.length * 32 - 1);
      this.#bits[bit >>> 5]! |= 1 << (bit & 31);
      first = (first + hashes.second) | 0;
    }
  }

  /** False if no frame below `indexedTo` names this keyspace. */
  mayHave(words: Int32Array, length: number): boolean {
    if (this.mayHaveAny) return true;
    const hashes = this.#hashes;
    hashes.hash(words, 0, length);
    let { first } = hashes;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = first & (this.#bits.length * 32 - 1);
      if ((this.#bits[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
      first = (first + hashes.second) | 0;
    }
    return true;
  }
}

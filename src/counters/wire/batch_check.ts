/**
 * Checks a record batch from outside against every rule, because its bytes go into a log as they are. Besides
 * the rules of `checkBatch`: names fit the widths of the directory, it defines fewer keyspaces, no record adds 0, and
 * a definition is right before the first record of its keyspace. So no keyspace and no counter comes into being
 * without a count.
 *
 * It reads words, because that takes half the time of bytes.
 */

import type { MessageSizes } from "./message_sizes.ts";
import { BATCH_DEFINITIONS_MAX } from "./batch_message.ts";
import {
  RECORD_INCREMENT_WORD,
  RECORD_KEYSPACE_WORD,
  RECORD_KIND_COUNTER,
  RECORD_KIND_KEYSPACE,
  RECORD_NAME_LENGTH_SHIFT,
  RECORD_NAME_WORD,
} from "./record.ts";

const KEYSPACE_WORD = RECORD_KEYSPACE_WORD;
const INCREMENT_WORD = RECORD_INCREMENT_WORD;
const NAME_WORD = RECORD_NAME_WORD;
const NAME_LENGTH_SHIFT = RECORD_NAME_LENGTH_SHIFT;

/** Why a record is bad: the reasons of an answer with `badRecord`. */
export const recordReasons = {
  cutOff: 1,
  kind: 2,
  flags: 3,
  nameTooLong: 4,
  nulInName: 5,
  padding: 6,
  emptyKeyspace: 7,
  definitionNumber: 8,
  definitionIncrement: 9,
  undefinedKeyspace: 10,
  unusedDefinition: 11,
  zeroIncrement: 12,
  count: 13,
} as const;

export class BatchCheck {
  /** Of the last batch: the index of its first bad record, definitions counted, and why it is bad. */
  index = 0;
  reason = 0;
  /** How many keyspaces it defines; of each, the index of its record, and the record's first word. */
  definitions = 0;
  readonly definitionIndex = new Int32Array(BATCH_DEFINITIONS_MAX);
  readonly definitionAt = new Int32Array(BATCH_DEFINITIONS_MAX);
  readonly #keyspaceSize: number;
  readonly #keySize: number;

  constructor({ keyspaceSize, keySize }: MessageSizes) {
    this.#keyspaceSize = keyspaceSize;
    this.#keySize = keySize;
  }

  /** Checks the batch in `words[start … end)`, which is to have so many counter records; true if it is good. */
  isGood(words: Int32Array, start: number, end: number, counters: number): boolean {
    let index = 0;
    let counted = 0;
    let reason = 0;
    /** The number of a keyspace that was defined by the record before, or −1. */
    let unused = -1;
    this.definitions = 0;
    for (let at = start; at < end; index++) {
      if (at + NAME_WORD > end) {
        reason = recordReasons.cutOff;
        break;
      }
      const head = words[at]!;
      const nameLength = head >>> NAME_LENGTH_SHIFT;
      // With the reserved bytes behind it: no keyspace has a number that large.
      const number = words[at + KEYSPACE_WORD]! >>> 0;
      const increment = words[at + INCREMENT_WORD]! | words[at + INCREMENT_WORD + 1]!;
      const next = at + NAME_WORD + (((nameLength + 7) >>> 3) << 1);
      // Kind and flags together.
      if ((head & 0xffff) === RECORD_KIND_COUNTER) {
        if (number >= this.definitions) reason = recordReasons.undefinedKeyspace;
        else if (unused >= 0 && number !== unused) reason = recordReasons.unusedDefinition;
        else if (increment === 0) reason = recordReasons.zeroIncrement;
        else if (nameLength > this.#keySize) reason = recordReasons.nameTooLong;
        unused = -1;
        counted++;
      } else {
        reason = this.#definitionReason(head, number, increment, unused);
        if (reason === 0) {
          this.definitionIndex[this.definitions] = index;
          this.definitionAt[this.definitions++] = at;
        }
      }
      if (reason === 0 && next > end) reason = recordReasons.cutOff;
      if (reason === 0) reason = nameReason(words, at + NAME_WORD, nameLength, next);
      if (reason !== 0) break;
      if ((head & 0xff) === RECORD_KIND_KEYSPACE) unused = number;
      at = next;
    }
    if (reason === 0) {
      if (unused >= 0) reason = recordReasons.unusedDefinition;
      else if (counted !== counters) reason = recordReasons.count;
    }
    this.index = index;
    this.reason = reason;
    return reason === 0;
  }

  /** Why a record that counts nothing is bad; 0 if it is a good definition. */
  #definitionReason(
    head: number,
    number: number,
    increment: number,
    unused: number,
  ): number {
    const kind = head & 0xff;
    if (kind !== RECORD_KIND_COUNTER && kind !== RECORD_KIND_KEYSPACE) return recordReasons.kind;
    if ((head & 0xff00) !== 0) return recordReasons.flags;
    const nameLength = head >>> NAME_LENGTH_SHIFT;
    if (unused >= 0) return recordReasons.unusedDefinition;
    if (number !== this.definitions || number >= BATCH_DEFINITIONS_MAX) {
      return recordReasons.definitionNumber;
    }
    if (increment !== 0) return recordReasons.definitionIncrement;
    if (nameLength === 0) return recordReasons.emptyKeyspace;
    return nameLength > this.#keyspaceSize ? recordReasons.nameTooLong : 0;
  }
}

/** Why the name of `length` bytes at `words[at … next)` is bad, with its padding; or 0. */
function nameReason(words: Int32Array, at: number, length: number, next: number): number {
  const wholeEnd = at + (length >>> 2);
  let word = at;
  for (; word < wholeEnd; word++) if (hasNul(words[word]!)) return recordReasons.nulInName;
  const rest = length & 3;
  if (rest !== 0) {
    const mask = -1 << (8 * rest);
    if ((words[word]! & mask) !== 0) return recordReasons.padding;
    if (hasNul(words[word++]! | mask)) return recordReasons.nulInName;
  }
  for (; word < next; word++) if (words[word] !== 0) return recordReasons.padding;
  return 0;
}

/** Whether one of the four bytes is 0: only then does the subtraction borrow into a high bit that was clear. */
function hasNul(word: number): boolean {
  return ((word - 0x01010101) & ~word & 0x80808080) !== 0;
}

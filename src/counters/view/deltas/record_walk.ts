/**
 * Reads record batches in place, in a window of a log. The checksums of the frames fit, but the bytes in them
 * may still be no records: no length and no number is trusted here.
 */

import {
  BATCH_KEYSPACES_MAX,
  NAME_SIZE_MAX,
  RECORD_INCREMENT_WORD,
  RECORD_KEYSPACE_WORD,
  RECORD_KIND_COUNTER,
  RECORD_KIND_KEYSPACE,
  RECORD_NAME_LENGTH_SHIFT,
  RECORD_NAME_WORD,
} from "../../wire/mod.ts";

const KEYSPACE_WORD = RECORD_KEYSPACE_WORD;
const INCREMENT_WORD = RECORD_INCREMENT_WORD;
const NAME_WORD = RECORD_NAME_WORD;
const NAME_LENGTH_SHIFT = RECORD_NAME_LENGTH_SHIFT;

/** Takes the records of one keyspace. `top` is the 32 bits above the increment's 64: its sign. */
export interface SumTarget {
  add(words: Int32Array, at: number, length: number, top: number, high: number, low: number): void;
}

/** Chooses the target for the records of each keyspace of a batch; null leaves them out. */
type ChooseTarget = (words: Int32Array, at: number, length: number) => SumTarget | null;

export class RecordWalk {
  readonly #targets: (SumTarget | null)[] = [];
  readonly #choose: ChooseTarget;

  constructor(choose: ChooseTarget) {
    this.#choose = choose;
  }

  /** Walks the batch in `words[start … end)`. Stops and returns false at bytes that are not a record. */
  batch(words: Int32Array, start: number, end: number): boolean {
    const targets = this.#targets;
    targets.length = 0;
    let next = start;
    for (let at = start; at + NAME_WORD <= end; at = next) {
      const head = words[at]!;
      const nameLength = head >>> NAME_LENGTH_SHIFT;
      next = at + NAME_WORD + (((nameLength + 7) >>> 3) << 1);
      if (nameLength > NAME_SIZE_MAX || next > end) return false;
      // With the reserved bytes behind it: no keyspace has a number that large.
      const keyspace = words[at + KEYSPACE_WORD]! >>> 0;
      // With the flags, of which none is known yet.
      const kind = head & 0xffff;
      if (kind === RECORD_KIND_COUNTER) {
        if (keyspace >= targets.length) return false;
        const target = targets[keyspace]!;
        if (target === null) continue;
        const high = words[at + INCREMENT_WORD + 1]!;
        const low = words[at + INCREMENT_WORD]!;
        target.add(words, at + NAME_WORD, nameLength, high >> 31, high, low);
      } else if (kind === RECORD_KIND_KEYSPACE) {
        if (keyspace !== targets.length || keyspace >= BATCH_KEYSPACES_MAX) return false;
        targets.push(this.#choose(words, at + NAME_WORD, nameLength));
      } else {
        return false;
      }
    }
    return next === end;
  }
}

/** Whether the name at `words[at]` is `name` (both NUL padded). */
export function sameName(
  words: Int32Array,
  at: number,
  length: number,
  name: Int32Array,
  nameLength: number,
): boolean {
  if (length !== nameLength) return false;
  for (let word = 0; word < (length + 3) >>> 2; word++) {
    if (words[at + word] !== name[word]) return false;
  }
  return true;
}

/** A name as words, NUL padded, as in records. */
export function nameWords(name: Uint8Array): Int32Array<ArrayBuffer> {
  const words = new Int32Array((name.length + 3) >>> 2);
  new Uint8Array(words.buffer).set(name);
  return words;
}

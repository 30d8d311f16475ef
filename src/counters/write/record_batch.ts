/** Turns increments of this process into records of a log, for the embedded engine. */

import { byteText } from "../../base/byte_text.ts";
import { mapKey } from "../../base/map_key.ts";
import { BATCH_KEYSPACES_MAX, encodeCounter, encodeDefinition, recordBytes } from "../wire/mod.ts";
import type { BatchFiller } from "../commitlog/mod.ts";

/** One addition to one counter. The caller has checked the names. */
export interface Increment {
  readonly keyspace: Uint8Array;
  readonly key: Uint8Array;
  /** A signed 64-bit integer. */
  readonly by: bigint;
}

/** Fills one frame after the other, until all increments are in a log. */
export class RecordBatch implements BatchFiller {
  readonly #increments: readonly Increment[];
  /** First increment of the last frame, and the first one that is in no frame yet. */
  #from = 0;
  #next = 0;

  constructor(increments: readonly Increment[]) {
    this.#increments = increments;
  }

  get isDone(): boolean {
    return this.#next === this.#increments.length;
  }

  get filledRecords(): number {
    return this.#next - this.#from;
  }

  fill(frame: Uint8Array, start: number, end: number): number {
    const numbers = new Map<string, number>();
    this.#from = this.#next;
    let at = start;
    for (; this.#next < this.#increments.length; this.#next++) {
      const { keyspace: name, key, by } = this.#increments[this.#next] as Increment;
      const text = nameText(name);
      const known = numbers.get(text);
      const bytes = recordBytes(key.length) + (known === undefined ? recordBytes(name.length) : 0);
      if (at + bytes > end) break;
      const number = known ?? numbers.size;
      if (known === undefined) {
        if (number === BATCH_KEYSPACES_MAX) break;
        at = encodeDefinition(frame, at, { number, name });
        numbers.set(text, number);
      }
      at = encodeCounter(frame, at, { keyspace: number, key, increment: by });
    }
    return at;
  }

  rollBack(): void {
    this.#next = this.#from;
  }
}

/** A key for maps, whatever the bytes are. */
function nameText(name: Uint8Array): string {
  return mapKey(byteText(name));
}

/**
 * What an append function is given. One event serves all appends of an instance, and nothing is made
 * for a call: a caller in a hurry writes into `bytes` from `begin` on; `tail` and `file()` are views
 * for the others, made when they are asked for.
 */

import { assert } from "../../base/assert.ts";

export class AppendEvent {
  /** The whole mapping. Only `begin` … `end` (without) may be written, only below `end` be read. */
  bytes: Uint8Array;
  /** Where the data ends now: the first byte to write. */
  begin = 0;
  /** The end of what was reserved. */
  end = 0;
  #tail: Uint8Array | null = null;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The reserved bytes. They may hold anything from earlier. */
  get tail(): Uint8Array {
    return this.#tail ??= this.bytes.subarray(this.begin, this.end);
  }

  /** Everything from the start of the file to the end of the reserved bytes. */
  file(): Uint8Array {
    return this.bytes.subarray(0, this.end);
  }

  /** For the instance alone: points the event at the next reservation. */
  reset(begin: number, end: number): void {
    assert(begin <= end, "A reservation does not end before it begins");
    this.begin = begin;
    this.end = end;
    this.#tail = null;
  }
}

/** Fills the reserved bytes from the start and returns how many it used. */
export type AppendFunc = (event: AppendEvent) => number;

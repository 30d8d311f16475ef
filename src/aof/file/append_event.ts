/**
 * What an append function is given. One event serves all appends of an instance, and nothing is
 * allocated for a call: the fastest way is to write into `bytes` from `begin` on. The views `tail` and
 * `file()` are made when they are asked for.
 */

import { assert } from "../../base/assert.ts";

/**
 * The reservation that an append function fills. It is valid during the call only, because one event
 * serves all appends of an instance. Continues `AppendEvent` of kirana's `aof`.
 */
export class AppendEvent {
  /** The whole mapping. Write only from `begin` to `end` (exclusive), and read only below `end`. */
  bytes: Uint8Array;
  /** Offset where the data ends now: the first byte to write. */
  begin = 0;
  /** Offset behind the last reserved byte. */
  end = 0;
  #tail: Uint8Array | null = null;

  /** Made by the instance, over its mapping. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** View of the reserved bytes, `end - begin` of them. What is in them before is undefined. */
  get tail(): Uint8Array {
    return this.#tail ??= this.bytes.subarray(this.begin, this.end);
  }

  /** Give a view of everything from the start of the file to the end of the reserved bytes. */
  file(): Uint8Array {
    return this.bytes.subarray(0, this.end);
  }

  /** Point the event at the next reservation. Called by the instance alone. */
  reset(begin: number, end: number): void {
    assert(begin <= end, "A reservation does not end before it begins");
    this.begin = begin;
    this.end = end;
    this.#tail = null;
  }
}

/**
 * Fills the reserved bytes of the event from their start on, and returns how many it used. Those are
 * appended; 0 appends nothing.
 */
export type AppendFunc = (event: AppendEvent) => number;

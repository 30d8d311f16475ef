/**
 * Finds the offset of an entry in the log. Entries are grouped in blocks of consecutive frames. Only
 * the start of each block is kept, and a lookup walks inside one block. So the index takes a few bytes
 * for each 64 KiB of log.
 *
 * Invariants:
 *   1  blocks rise in both first entry and offset
 *   2  entries of one block follow each other without a truncation between them
 */

import { assert } from "../../base/assert.ts";
import { BLOCK_BYTES_MIN } from "../format/layout.ts";

export interface EntryBlocks {
  /** First entries of the blocks. */
  readonly firsts: readonly number[];
  /** Offsets of those entries in the log. */
  readonly offsets: readonly number[];
  readonly length: number;
}

export class EntryIndex {
  #firsts: number[];
  #offsets: number[];
  #length: number;
  #isBlockStart: boolean;

  constructor(blocks: EntryBlocks = { firsts: [], offsets: [], length: 0 }) {
    assert(blocks.firsts.length === blocks.offsets.length, "A block has an entry and an offset");
    this.#firsts = [...blocks.firsts];
    this.#offsets = [...blocks.offsets];
    this.#length = blocks.length;
    // Whether a truncation ended the last block is not stored, so the next entry begins a new one.
    this.#isBlockStart = true;
  }

  /** Entries in the log. */
  get length(): number {
    return this.#length;
  }

  /** Adds the next entry, which is at `offset` in the log. */
  add(offset: number): void {
    const last = this.#offsets.length - 1;
    if (this.#isBlockStart || offset - (this.#offsets[last] ?? 0) >= BLOCK_BYTES_MIN) {
      this.#firsts.push(this.#length);
      this.#offsets.push(offset);
      this.#isBlockStart = false;
    }
    this.#length++;
  }

  /** Removes the entries from `length` on. */
  truncate(length: number): void {
    assert(length <= this.#length, "A truncation never makes the log longer");
    while (this.#firsts.length > 0 && (this.#firsts.at(-1) as number) >= length) {
      this.#firsts.pop();
      this.#offsets.pop();
    }
    this.#length = length;
    this.#isBlockStart = true;
  }

  /** The start of the block that holds entry `index`. The caller walks from there to the entry. */
  find(index: number): { readonly first: number; readonly offset: number } {
    const block = this.#blockOf(index);
    return { first: this.#firsts[block] as number, offset: this.#offsets[block] as number };
  }

  /** The number after the last entry of the block that holds entry `index`. */
  endOfBlock(index: number): number {
    return this.#firsts[this.#blockOf(index) + 1] ?? this.#length;
  }

  #blockOf(index: number): number {
    assert(index >= 0 && index < this.#length, "An entry is searched for inside the log");
    let low = 0;
    let high = this.#firsts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#firsts[middle] as number) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** A copy that later changes do not affect. */
  copy(): EntryBlocks {
    return { firsts: [...this.#firsts], offsets: [...this.#offsets], length: this.#length };
  }
}

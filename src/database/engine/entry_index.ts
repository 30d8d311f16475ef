/**
 * Where the entries of the log lie. Entries stand in blocks of consecutive frames; only the start of
 * a block is kept, and a lookup walks inside one block. So the memory is a few bytes for each 64 KiB
 * of log, however long the log is.
 *
 * Invariants:
 *   1  blocks rise in both first entry and offset
 *   2  entries of one block follow each other without a cut between them
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
    // Whether the last block was cut is not kept, so the next entry begins one.
    this.#isBlockStart = true;
  }

  /** Entries in the log. */
  get length(): number {
    return this.#length;
  }

  /** Takes the next entry, which lies at `offset`. */
  add(offset: number): void {
    const last = this.#offsets.length - 1;
    if (this.#isBlockStart || offset - (this.#offsets[last] ?? 0) >= BLOCK_BYTES_MIN) {
      this.#firsts.push(this.#length);
      this.#offsets.push(offset);
      this.#isBlockStart = false;
    }
    this.#length++;
  }

  /** Forgets the entries from `length` on. */
  truncate(length: number): void {
    assert(length <= this.#length, "A cut makes the log no longer");
    while (this.#firsts.length > 0 && (this.#firsts.at(-1) as number) >= length) {
      this.#firsts.pop();
      this.#offsets.pop();
    }
    this.#length = length;
    this.#isBlockStart = true;
  }

  /** The start of the block that holds entry `index`: walk from there over the entries before it. */
  find(index: number): { readonly first: number; readonly offset: number } {
    const block = this.#blockOf(index);
    return { first: this.#firsts[block] as number, offset: this.#offsets[block] as number };
  }

  /** The number after the last entry of the block that holds entry `index`. */
  endOfBlock(index: number): number {
    return this.#firsts[this.#blockOf(index) + 1] ?? this.#length;
  }

  #blockOf(index: number): number {
    assert(index >= 0 && index < this.#length, "An entry is looked for inside the log");
    let low = 0;
    let high = this.#firsts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#firsts[middle] as number) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** A copy that later changes do not touch. */
  copy(): EntryBlocks {
    return { firsts: [...this.#firsts], offsets: [...this.#offsets], length: this.#length };
  }
}

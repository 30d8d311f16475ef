/**
 * Moves counters in the rank order: every changed counter leaves its old place and arrives at its new one.
 * Both moves are sorted into one run, and the tree is merged with it.
 */

import type { PageAllocator } from "./allocator.ts";
import { type Batch, ENTRY_KEY_WORD, ENTRY_LENGTH_MASK } from "./batch.ts";
import { RANK_SEPARATOR_COUNT_BYTES } from "../pages/branch.ts";
import { compareDescending } from "../../../base/int64.ts";
import { compareBytes } from "../pages/compare.ts";
import { type CountChanges, lowerBound } from "./key_merge.ts";
import type { PageFrame } from "../pages/page.ts";
import type { PageSink } from "../pages/page_sink.ts";
import type { ScratchPages } from "../pages/page_source.ts";
import { lowerBoundInRankLeaf, rankRowIs, rankRowStart } from "../pages/rank_leaf.ts";
import type { RankLeafPacker } from "./rank_leaf_packer.ts";
import { MOVE_ARRIVES, rankMoves } from "./rank_moves.ts";
import type { Root } from "../pages/root.ts";
import { TreeBuilder } from "./tree_builder.ts";
import { TreeMerge } from "./tree_merge.ts";

export class RankMerge extends TreeMerge<RankLeafPacker> {
  readonly #batch: Batch;
  readonly #moves: Uint32Array;
  readonly #lows: Int32Array;
  readonly #highs: Int32Array;
  /** Keeps the prefetch reads from being optimised away. */
  #touched = 0;

  constructor(
    batch: Batch,
    changes: CountChanges,
    { source, sink, allocator }: {
      readonly source: ScratchPages;
      readonly sink: PageSink;
      readonly allocator: PageAllocator;
    },
  ) {
    super(source, TreeBuilder.ofRanks(sink), allocator, "rank");
    this.#batch = batch;
    const { moves, lows, highs } = rankMoves(changes);
    this.#moves = moves;
    this.#lows = lows;
    this.#highs = highs;
  }

  run(root: Root): Root {
    return this.merge(root, this.#moves.length);
  }

  protected override visitLeaf(frame: PageFrame, from: number, to: number): void {
    const { leaf } = this.builder;
    const { view } = frame;
    const batch = this.#batch;
    const { words, entries } = batch;
    let row = 0;
    const stride = Math.ceil(frame.rows / (to - from));
    this.#touch(from, to);
    for (let move = from; move < to; move++) {
      const entry = entries[this.#moves[move]! >>> 1]!;
      const arrives = (this.#moves[move]! & 1) === MOVE_ARRIVES;
      const high = this.#highs[move]!;
      const low = this.#lows[move]!;
      const start = (entry + ENTRY_KEY_WORD) * 4;
      const end = start + (words[entry]! & ENTRY_LENGTH_MASK);
      const place = lowerBoundInRankLeaf(view, high, low, batch.view, start, end, row, stride);
      leaf.appendRows(frame, row, place);
      row = place;
      if (arrives) {
        leaf.append(high, low, batch.bytes, start, end);
        continue;
      }
      const there = row < frame.rows &&
        rankRowIs(view, rankRowStart(view, row), high, low, batch.view, start, end);
      if (!there) throw this.source.corrupt(frame.number, "a counter of the key order is missing");
      row++;
    }
    leaf.appendRows(frame, row, frame.rows);
  }

  protected override insertAll(from: number, to: number): void {
    const batch = this.#batch;
    for (let move = from; move < to; move++) {
      const index = this.#moves[move]! >>> 1;
      const start = batch.keyStart(index);
      this.builder.leaf.append(
        this.#highs[move]!,
        this.#lows[move]!,
        batch.bytes,
        start,
        start + batch.keyLength(index),
      );
    }
  }

  protected override changesBefore(
    from: number,
    to: number,
    separator: DataView,
    start: number,
    end: number,
  ): number {
    // A separator has the count inverted, so that its bytes sort in rank order.
    const high = ~separator.getUint32(start) ^ 0x80000000;
    const low = ~separator.getUint32(start + 4);
    const keyStart = start + RANK_SEPARATOR_COUNT_BYTES;
    return lowerBound(from, to, (move) => this.#compare(move, high, low, separator, keyStart, end));
  }

  /**
   * Prefetches the keys of a leaf. In rank order they are far apart in memory, so their cache misses should
   * overlap.
   */
  #touch(from: number, to: number): void {
    const { words, entries } = this.#batch;
    const moves = this.#moves;
    let touched = 0;
    for (let move = from; move < to; move++) touched ^= words[entries[moves[move]! >>> 1]!]!;
    this.#touched = touched;
  }

  #compare(
    move: number,
    high: number,
    low: number,
    key: DataView,
    keyStart: number,
    keyEnd: number,
  ): number {
    const order = compareDescending(this.#highs[move]!, this.#lows[move]!, high, low);
    if (order !== 0) return order;
    const index = this.#moves[move]! >>> 1;
    const start = this.#batch.keyStart(index);
    const end = start + this.#batch.keyLength(index);
    return compareBytes(this.#batch.view, start, end, key, keyStart, keyEnd);
  }
}

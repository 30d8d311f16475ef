/**
 * Builds a tree from left to right, out of new rows and of old subtrees that are kept as they are.
 *
 * Invariant: pages and kept subtrees come in row order; before a subtree of level n is kept, everything
 * that is pending at the levels 0 … n is written.
 */

import { assert } from "../../../base/assert.ts";
import { BranchPacker } from "./branch_packer.ts";
import { KeyLeafPacker } from "./key_leaf_packer.ts";
import type { Packer, PageReceiver } from "./packer.ts";
import { LEVEL_MAX } from "../pages/page.ts";
import type { PageSink } from "../pages/page_sink.ts";
import { RankLeafPacker } from "./rank_leaf_packer.ts";
import { EMPTY_ROOT, kindOf, type Order, type Root } from "../pages/root.ts";

export class TreeBuilder<Leaf extends Packer> implements PageReceiver {
  readonly leaf: Leaf;
  readonly #sink: PageSink;
  readonly #order: Order;
  /** Index 0 packs level 1. */
  readonly #branches: BranchPacker[] = [];

  private constructor(
    sink: PageSink,
    order: Order,
    makeLeaf: (receiver: PageReceiver) => Leaf,
  ) {
    this.#sink = sink;
    this.#order = order;
    this.leaf = makeLeaf(this);
  }

  static ofKeys(sink: PageSink): TreeBuilder<KeyLeafPacker> {
    return new TreeBuilder(sink, "key", (receiver) => new KeyLeafPacker(sink, receiver));
  }

  static ofRanks(sink: PageSink): TreeBuilder<RankLeafPacker> {
    return new TreeBuilder(sink, "rank", (receiver) => new RankLeafPacker(sink, receiver));
  }

  /**
   * Whether a neighbour at `level` with `rows` rows below it should be packed with what is pending there.
   */
  wantsNeighbour(level: number, rows: number): boolean {
    if (level === 0) return this.leaf.wouldTake(rows);
    return this.#branches[level - 1]?.isSmall ?? false;
  }

  /** Keeps a subtree whose topmost page has `level`; its separator is `bytes[start, end)`. */
  keep(
    level: number,
    child: number,
    birth: number,
    rows: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.leaf.close();
    for (let below = 1; below <= level; below++) this.#branches[below - 1]?.close();
    this.#branch(level + 1).append(child, birth, rows, bytes, start, end);
  }

  receive(
    level: number,
    child: number,
    rows: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#branch(level + 1).append(child, this.#sink.birth, rows, bytes, start, end);
  }

  /** Writes everything that is pending and returns the root of the tree. */
  closeAll(): Root {
    this.leaf.close();
    for (let level = 1; level <= this.#branches.length; level++) {
      const branch = this.#branch(level);
      const highest = level === this.#branches.length;
      if (highest && branch.pagesSealed === 0 && branch.pendingRows === 1) {
        return { ...branch.onlyChild(), level: level - 1 };
      }
      branch.close();
    }
    return EMPTY_ROOT;
  }

  #branch(level: number): BranchPacker {
    assert(level <= LEVEL_MAX, "A tree is not deeper than its pages allow");
    while (this.#branches.length < level) {
      const next = this.#branches.length + 1;
      const kind = kindOf(this.#order, next);
      this.#branches.push(new BranchPacker(next, kind, { sink: this.#sink, receiver: this }));
    }
    return this.#branches[level - 1] as BranchPacker;
  }
}

/**
 * Merges a tree with a sorted run of changes. Pages without a change are kept, pages with one are written
 * anew, runs of neighbours are packed together. So a few changes cost a path of pages each, and many
 * changes cost one pass through the leaves.
 */

import { assert } from "../../../base/assert.ts";
import type { PageAllocator } from "./allocator.ts";
import { branchBirth, branchChild, branchRowsBefore, separatorStart } from "../pages/branch.ts";
import type { Packer } from "./packer.ts";
import type { PageFrame } from "../pages/page.ts";
import type { ScratchPages } from "../pages/page_source.ts";
import { kindOf, type Order, type Root } from "../pages/root.ts";
import type { TreeBuilder } from "./tree_builder.ts";

export abstract class TreeMerge<Leaf extends Packer> {
  readonly #allocator: PageAllocator;
  readonly #order: Order;

  constructor(
    protected readonly source: ScratchPages,
    protected readonly builder: TreeBuilder<Leaf>,
    allocator: PageAllocator,
    order: Order,
  ) {
    this.#allocator = allocator;
    this.#order = order;
  }

  /** Applies the changes `[0, changes)` and returns the new root. */
  protected merge(root: Root, changes: number): Root {
    if (changes === 0) return root;
    if (root.rows === 0) this.insertAll(0, changes);
    else this.#visit(root.number, root.birth, root.level, 0, changes);
    return this.builder.closeAll();
  }

  /** Packs the rows of a leaf with the changes `[from, to)`. */
  protected abstract visitLeaf(frame: PageFrame, from: number, to: number): void;
  /** Packs the changes `[from, to)` of an empty tree. */
  protected abstract insertAll(from: number, to: number): void;
  /** The first of the changes `[from, to)` that does not sort before a separator, or `to`. */
  protected abstract changesBefore(
    from: number,
    to: number,
    separator: DataView,
    start: number,
    end: number,
  ): number;

  #visit(number: number, birth: number, level: number, from: number, to: number): void {
    const frame = this.source.page(number, birth, kindOf(this.#order, level), level);
    this.#allocator.free(number);
    if (level === 0) {
      this.visitLeaf(frame, from, to);
      return;
    }
    const { view, bytes } = frame;
    const children = frame.rows;
    const below = level - 1;
    let next = from;
    for (let index = 0; index < children; index++) {
      const start = separatorStart(view, index);
      const end = separatorStart(view, index + 1);
      const stop = index + 1 === children
        ? to
        : this.changesBefore(next, to, view, end, separatorStart(view, index + 2));
      const child = branchChild(view, index);
      const childBirth = branchBirth(view, index);
      const rows = branchRowsBefore(view, index + 1) - branchRowsBefore(view, index);
      if (stop > next || this.builder.wantsNeighbour(below, rows)) {
        this.#visit(child, childBirth, below, next, stop);
      } else {
        this.builder.keep(below, child, childBirth, rows, bytes, start, end);
      }
      next = stop;
    }
    assert(next === to, "Every change has a place");
  }
}

/** Packs children into branch pages of either order. Layout: `branch.ts`. */

import {
  BRANCH_CELLS_OFFSET,
  BRANCH_OFFSET_BYTES,
  branchBytes,
  CELL_BIRTH_OFFSET,
  CELL_BYTES,
  CELL_CHILD_OFFSET,
  CELL_SUM_OFFSET,
  SEPARATOR_BYTES_MAX,
} from "../pages/branch.ts";
import { grown, Packer, type PageReceiver } from "./packer.ts";
import { setUint53 } from "../pages/page.ts";
import type { PageSink } from "../pages/page_sink.ts";

export class BranchPacker extends Packer {
  readonly #kind: number;
  #children = new Uint32Array(this.sink.pageSize >> 8);
  #births = new Float64Array(this.#children.length);
  /** Rows below each child. */
  #rows = new Float64Array(this.#children.length);
  /** Separator i lies in `heap[ends[i], ends[i + 1])`. */
  #ends = new Uint32Array(this.#children.length + 1);
  #heap = new Uint8Array(this.sink.pageSize >> 1);
  /** Pages written at this level. */
  pagesSealed = 0;

  constructor(
    level: number,
    kind: number,
    { sink, receiver }: { readonly sink: PageSink; readonly receiver: PageReceiver },
  ) {
    super(level, sink, receiver);
    this.#kind = kind;
  }

  /** Adds a child with its separator in `bytes[start, end)`. */
  append(
    child: number,
    birth: number,
    rows: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const index = this.count;
    if (index + 2 > this.#children.length) {
      this.#children = grown(this.#children, index + 2);
      this.#births = grown(this.#births, index + 2);
      this.#rows = grown(this.#rows, index + 2);
      this.#ends = grown(this.#ends, this.#children.length + 1);
    }
    const at = this.#ends[index]!;
    this.#heap = grown(this.#heap, at + SEPARATOR_BYTES_MAX);
    this.#heap.set(bytes.subarray(start, end), at);
    this.#children[index] = child;
    this.#births[index] = birth;
    this.#rows[index] = rows;
    this.#ends[index + 1] = at + end - start;
    this.count = index + 1;
    if (this.sizeOf(this.pageBreak, this.count) > this.sink.pageSize) this.breakPage(index);
  }

  /** The only pending child, for a root that needs no branch above it. */
  onlyChild(): { readonly number: number; readonly birth: number; readonly rows: number } {
    return { number: this.#children[0]!, birth: this.#births[0]!, rows: this.#rows[0]! };
  }

  protected override sizeOf(from: number, to: number): number {
    return branchBytes(to - from, this.#ends[to]! - this.#ends[from]!);
  }

  protected override weightBefore(row: number): number {
    return this.#ends[row]! + row * CELL_BYTES;
  }

  protected override seal(from: number, to: number): void {
    const { sink } = this;
    const number = sink.beginPage();
    const { base, bytes, view } = sink;
    const offsets = base + BRANCH_CELLS_OFFSET + CELL_BYTES * (to - from);
    const heap = offsets + BRANCH_OFFSET_BYTES * (to - from + 1);
    const first = this.#ends[from]!;
    let below = 0;
    for (let index = from; index < to; index++) {
      const cell = base + BRANCH_CELLS_OFFSET + CELL_BYTES * (index - from);
      below += this.#rows[index]!;
      view.setUint32(cell + CELL_CHILD_OFFSET, this.#children[index]!, true);
      setUint53(view, cell + CELL_BIRTH_OFFSET, this.#births[index]!);
      setUint53(view, cell + CELL_SUM_OFFSET, below);
      const offset = heap - base + this.#ends[index]! - first;
      view.setUint16(offsets + BRANCH_OFFSET_BYTES * (index - from), offset, true);
    }
    const end = heap - base + this.#ends[to]! - first;
    view.setUint16(offsets + BRANCH_OFFSET_BYTES * (to - from), end, true);
    bytes.set(this.#heap.subarray(first, this.#ends[to]!), heap);
    sink.endPage(this.#kind, this.level, { rows: to - from, end });
    this.pagesSealed++;
    this.receiver.receive(this.level, number, below, this.#heap, first, this.#ends[from + 1]!);
  }

  protected override drop(rows: number): void {
    const { count } = this;
    const start = this.#ends[rows]!;
    this.#heap.copyWithin(0, start, this.#ends[count]!);
    for (let row = rows; row <= count; row++) this.#ends[row - rows] = this.#ends[row]! - start;
    this.#children.copyWithin(0, rows, count);
    this.#births.copyWithin(0, rows, count);
    this.#rows.copyWithin(0, rows, count);
    this.count = count - rows;
  }
}

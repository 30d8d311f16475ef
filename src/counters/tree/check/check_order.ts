/** Walks one order of a keyspace file for `check.ts`: pages, order, separators, counts. */

import { highHalf, lowHalf } from "../../../base/int64.ts";
import { CorruptError } from "../../../base/errors.ts";
import {
  branchBirth,
  branchChild,
  branchRowsBefore,
  RANK_SEPARATOR_COUNT_BYTES,
  separatorStart,
  setRankSeparatorCount,
} from "../pages/branch.ts";
import { compareBytes } from "../pages/compare.ts";
import { keyLeafRow } from "../pages/key_leaf.ts";
import type { Meta } from "../pages/meta.ts";
import type { PageFrame } from "../pages/page.ts";
import { contentProblem, type ScratchPages } from "../pages/page_source.ts";
import { rankLeafRow } from "../pages/rank_leaf.ts";
import { kindOf, type Order, type Root } from "../pages/root.ts";
import {
  CHECK_CONTENT,
  CHECK_COUNTED,
  CHECK_KEY_ORDER,
  CHECK_PAGE,
  CHECK_RANK_ORDER,
  type ViolationList,
} from "./violation.ts";

interface Place {
  readonly number: number;
  readonly birth: number;
  readonly level: number;
  /** The page that names this one; 0 is the meta block. */
  readonly parent: number;
  /** Rows are at or after `lower` and before `upper`; null is unbounded. */
  readonly lower: Uint8Array | null;
  readonly upper: Uint8Array | null;
}

export class OrderCheck {
  /** Sums over all counters that do not depend on their order, so both orders must have the same. */
  sumA = 0;
  sumB = 0;
  /** The sum of all counts. */
  total = 0n;

  readonly #order: Order;
  readonly #meta: Meta;
  readonly #source: ScratchPages;
  readonly #list: ViolationList;
  /** Claims a page for its parent; false if it is claimed already or does not exist. */
  readonly #claim: (number: number, parent: number) => boolean;
  /** The last row, in the form of a separator. */
  #last: Uint8Array | null = null;

  constructor(
    order: Order,
    options: {
      readonly meta: Meta;
      readonly source: ScratchPages;
      readonly list: ViolationList;
      readonly claim: (number: number, parent: number) => boolean;
    },
  ) {
    this.#order = order;
    this.#meta = options.meta;
    this.#source = options.source;
    this.#list = options.list;
    this.#claim = options.claim;
  }

  run(root: Root): void {
    if (root.rows === 0) return;
    const rows = this.#check({ ...root, parent: 0, lower: null, upper: null });
    if (rows !== null && rows !== root.rows) {
      this.#list.add(CHECK_COUNTED, 0, `The root counts ${root.rows} rows, there are ${rows}`);
    }
  }

  #row(frame: PageFrame, index: number): { key: Uint8Array; count: bigint } {
    return this.#order === "key" ? keyLeafRow(frame, index) : rankLeafRow(frame, index);
  }

  /** Checks a page and what is below it. Returns the number of rows, or null if it could not be read. */
  #check(place: Place): number | null {
    if (this.#list.isFull) return null;
    const { number, birth, level } = place;
    if (!this.#claim(number, place.parent)) return null;
    const kind = kindOf(this.#order, level);
    if (!(birth <= this.#meta.transaction)) {
      this.#add(CHECK_PAGE, place.parent, `Page ${number} has a birth later than its snapshot`);
      return null;
    }
    let frame: PageFrame;
    try {
      frame = this.#source.page(number, birth, kind, level);
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      this.#list.add(CHECK_PAGE, error.where.offset, error.message);
      return null;
    }
    const problem = contentProblem(frame, kind);
    if (problem !== null) {
      this.#add(
        CHECK_CONTENT,
        number,
        `Page ${number} is not laid out as it should be: ${problem}`,
      );
      return null;
    }
    return level === 0 ? this.#checkLeaf(frame, place) : this.#checkBranch(frame, place);
  }

  #checkBranch(frame: PageFrame, place: Place): number | null {
    const { view, bytes, rows } = frame;
    const { number, level } = place;
    // Copied, because the next page of this level uses the frame again.
    const separators = Array.from({ length: rows }, (_, index) => {
      return bytes.slice(separatorStart(view, index), separatorStart(view, index + 1));
    });
    const children = Array.from({ length: rows }, (_, index) => ({
      number: branchChild(view, index),
      birth: branchBirth(view, index),
      rows: branchRowsBefore(view, index + 1) - branchRowsBefore(view, index),
    }));
    let sum: number | null = 0;
    for (const [index, child] of children.entries()) {
      const found = this.#check({
        number: child.number,
        birth: child.birth,
        level: level - 1,
        parent: number,
        lower: index === 0 ? place.lower : separators[index]!,
        upper: separators[index + 1] ?? place.upper,
      });
      if (found !== null && found !== child.rows) {
        const counts = `${child.rows} rows for child ${index}, there are ${found}`;
        this.#add(CHECK_COUNTED, number, `Page ${number} counts ${counts}`);
      }
      sum = sum === null || found === null ? null : sum + found;
    }
    return sum;
  }

  #checkLeaf(frame: PageFrame, place: Place): number {
    const invariant = this.#order === "key" ? CHECK_KEY_ORDER : CHECK_RANK_ORDER;
    const { number } = place;
    for (let index = 0; index < frame.rows; index++) {
      const { key, count } = this.#row(frame, index);
      if (key.includes(0)) {
        this.#add(CHECK_CONTENT, number, `Key ${index} of page ${number} holds NUL`);
      }
      const row = this.#asSeparator(key, count);
      if (this.#last !== null && compare(this.#last, row) >= 0) {
        this.#add(invariant, number, `Row ${index} of page ${number} is out of order`);
      }
      if (index === 0 && place.lower !== null && compare(place.lower, row) > 0) {
        this.#add(invariant, number, `Page ${number} begins before its separator`);
      }
      if (index === frame.rows - 1 && place.upper !== null && compare(row, place.upper) >= 0) {
        this.#add(invariant, number, `Page ${number} ends behind the next separator`);
      }
      this.#last = row;
      this.#addToSums(key, count);
    }
    return frame.rows;
  }

  #asSeparator(key: Uint8Array, count: bigint): Uint8Array {
    if (this.#order === "key") return key;
    const bytes = new Uint8Array(RANK_SEPARATOR_COUNT_BYTES + key.length);
    setRankSeparatorCount(new DataView(bytes.buffer), 0, highHalf(count), lowHalf(count));
    bytes.set(key, RANK_SEPARATOR_COUNT_BYTES);
    return bytes;
  }

  #addToSums(key: Uint8Array, count: bigint): void {
    this.total += count;
    let a = Math.imul(lowHalf(count), 0x9e3779b1) ^ key.length;
    let b = Math.imul(highHalf(count), 0x85ebca6b) ^ lowHalf(count);
    for (let index = 0; index < key.length; index++) {
      a = Math.imul(a ^ key[index]!, 0x01000193);
      b = Math.imul(b ^ key[index]! ^ (b >>> 15), 0xc2b2ae35);
    }
    this.sumA = (this.sumA + (a ^ (a >>> 13))) | 0;
    this.sumB = (this.sumB + (b ^ (b >>> 16))) | 0;
  }

  #add(invariant: number, page: number, message: string): void {
    this.#list.add(invariant, page * this.#meta.pageSize, message);
  }
}

function compare(left: Uint8Array, right: Uint8Array): number {
  const leftView = new DataView(left.buffer, left.byteOffset, left.byteLength);
  const rightView = new DataView(right.buffer, right.byteOffset, right.byteLength);
  return compareBytes(leftView, 0, left.length, rightView, 0, right.length);
}

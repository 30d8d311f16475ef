/**
 * The applied generations: for each log slot the greatest generation that is in the counters. The meta
 * block has those of the first slots (`metaGenerationsMax`), and a chain of pages has the rest:
 *
 *     header │ next page (u32) │ reserved (u32) │ its birth (u64) │ first slot (u64) │ generations (u64 each)
 *
 * Invariant: an applied generation only rises, and none is ever removed.
 */

import { assert } from "../../../base/assert.ts";
import { getUint53, PAGE_HEADER_BYTES, PAGE_KIND_GENERATIONS, setUint53 } from "./page.ts";
import type { PageSink } from "./page_sink.ts";

export const generationsPageLayout = {
  next: { offset: PAGE_HEADER_BYTES, size: 4 },
  reserved: { offset: PAGE_HEADER_BYTES + 4, size: 4 },
  nextBirth: { offset: PAGE_HEADER_BYTES + 8, size: 8 },
  firstSlot: { offset: PAGE_HEADER_BYTES + 16, size: 8 },
  generations: { offset: PAGE_HEADER_BYTES + 24, size: 0 },
} as const;

const NEXT_OFFSET = generationsPageLayout.next.offset;
const RESERVED_OFFSET = generationsPageLayout.reserved.offset;
const NEXT_BIRTH_OFFSET = generationsPageLayout.nextBirth.offset;
const FIRST_SLOT_OFFSET = generationsPageLayout.firstSlot.offset;
const GENERATIONS_OFFSET = generationsPageLayout.generations.offset;

/** More slots than any backlog of the smallest logs has. A file that claims more is damaged. */
export const GENERATION_SLOTS_MAX = 1 << 24;

export interface GenerationsPage {
  readonly number: number;
  readonly birth: number;
}

const NO_PAGE: GenerationsPage = { number: 0, birth: 0 };

/** The generation of each slot's log. */
export type AppliedGenerations = ReadonlyMap<number, bigint>;

/** Returns the generations with some of them raised. */
export function raiseGenerations(
  generations: BigUint64Array,
  raised: AppliedGenerations,
): BigUint64Array {
  let slots = generations.length;
  for (const slot of raised.keys()) {
    assert(
      Number.isInteger(slot) && slot >= 0 && slot < GENERATION_SLOTS_MAX,
      "A slot is in range",
    );
    if (slot >= slots) slots = slot + 1;
  }
  const result = new BigUint64Array(slots);
  result.set(generations);
  for (const [slot, generation] of raised) {
    assert(generation > result[slot]!, `A log is applied once: slot ${slot} at ${generation}`);
    assert(generation < 2n ** 64n, "A generation fits its field");
    result[slot] = generation;
  }
  return result;
}

/**
 * Writes the generations behind the first `inMeta`, which the meta block has; returns the first page of the
 * chain.
 */
export function writeGenerationPages(
  sink: PageSink,
  generations: BigUint64Array,
  inMeta: number,
): GenerationsPage {
  const each = (sink.pageSize - GENERATIONS_OFFSET) / 8;
  let next = NO_PAGE;
  // From the last page to the first, because each names the one behind it.
  const pages = Math.ceil((generations.length - inMeta) / each);
  for (let page = pages - 1; page >= 0; page--) {
    const first = inMeta + page * each;
    const rows = Math.min(each, generations.length - first);
    const number = sink.beginPage();
    const { base, view } = sink;
    view.setUint32(base + NEXT_OFFSET, next.number, true);
    setUint53(view, base + NEXT_BIRTH_OFFSET, next.birth);
    setUint53(view, base + FIRST_SLOT_OFFSET, first);
    for (let row = 0; row < rows; row++) {
      view.setBigUint64(base + GENERATIONS_OFFSET + 8 * row, generations[first + row]!, true);
    }
    sink.endPage(PAGE_KIND_GENERATIONS, 0, { rows, end: GENERATIONS_OFFSET + 8 * rows });
    next = { number, birth: sink.birth };
  }
  return next;
}

/**
 * Reads one page of the chain into `generations`. Returns the next page, or a string that says what is
 * wrong. `expected` is the slot with which the page has to begin.
 */
export function readGenerationPage(
  view: DataView,
  { rows, expected, generations }: {
    readonly rows: number;
    readonly expected: number;
    readonly generations: BigUint64Array;
  },
): GenerationsPage | string {
  if (view.getUint32(RESERVED_OFFSET, true) !== 0) return "reserved bytes are not 0";
  if (getUint53(view, FIRST_SLOT_OFFSET) !== expected) return "generations of other slots";
  if (GENERATIONS_OFFSET + 8 * rows > view.byteLength) return "generations reach past the page";
  if (expected + rows > generations.length) return "more generations than the meta block says";
  for (let row = 0; row < rows; row++) {
    generations[expected + row] = view.getBigUint64(GENERATIONS_OFFSET + 8 * row, true);
  }
  const next = {
    number: view.getUint32(NEXT_OFFSET, true),
    birth: getUint53(view, NEXT_BIRTH_OFFSET),
  };
  const complete = expected + rows === generations.length;
  if (complete !== (next.number === 0)) return "the chain of generations has the wrong length";
  return next;
}

/** What a meta block leads to besides the rows: the applied generations, and the pages in use. */

import { CorruptError } from "../../../base/errors.ts";
import { branchBirth, branchChild } from "../pages/branch.ts";
import { GENERATION_SLOTS_MAX, readGenerationPage } from "../pages/applied_generations.ts";
import { keyLeafRow } from "../pages/key_leaf.ts";
import { firstPageOf, type Meta } from "../pages/meta.ts";
import { PAGE_KIND_GENERATIONS } from "../pages/page.ts";
import type { PageSource } from "../pages/page_source.ts";
import { kindOf, type Order, type Root } from "../pages/root.ts";

/** Loads all applied generations of a snapshot. If `visit` returns false for a page, the rest is left out. */
export function loadGenerations(
  meta: Meta,
  source: PageSource,
  path: string,
  visit: (number: number, birth: number) => boolean = () => true,
): BigUint64Array {
  if (meta.generationSlots > GENERATION_SLOTS_MAX) {
    throw new CorruptError(`Too many applied generations in ${path}: ${meta.generationSlots}`, {
      path,
      offset: 0,
    });
  }
  const generations = new BigUint64Array(meta.generationSlots);
  generations.set(meta.firstGenerations);
  let expected = meta.firstGenerations.length;
  let page = meta.generationsPage;
  // Every page has at least one generation, so the chain ends.
  while (page.number !== 0 && visit(page.number, page.birth)) {
    const frame = source.page(page.number, page.birth, PAGE_KIND_GENERATIONS, 0);
    const { rows } = frame;
    const next = readGenerationPage(frame.view, { rows, expected, generations });
    if (typeof next === "string") {
      const offset = page.number * meta.pageSize;
      throw new CorruptError(`Damaged page ${page.number} of ${path}: ${next}`, { path, offset });
    }
    expected += rows;
    page = next;
  }
  return generations;
}

/** All counters of a snapshot, in key order. */
export function* countersOf(
  source: PageSource,
  { number, birth, level, rows }: Root,
): Generator<{ readonly key: Uint8Array; readonly count: bigint }> {
  if (rows === 0) return;
  const frame = source.page(number, birth, kindOf("key", level), level);
  for (let index = 0; index < frame.rows; index++) {
    if (level === 0) yield keyLeafRow(frame, index);
    else {
      const child = {
        number: branchChild(frame.view, index),
        birth: branchBirth(frame.view, index),
      };
      yield* countersOf(source, { ...child, level: level - 1, rows });
    }
  }
}

/**
 * Visits the numbers of all pages that a snapshot uses. Leaves are known from their parents and not read.
 * If `visit` returns false, the pages below are left out.
 */
export function walkPages(
  meta: Meta,
  source: PageSource,
  path: string,
  visit: (number: number, birth: number) => boolean,
): void {
  const walkTree = (order: Order, { number, birth, level }: Omit<Root, "rows">) => {
    if (number < firstPageOf(meta) || number >= meta.pageCount) {
      throw new CorruptError(`A branch of ${path} names page ${number}, which is out of range`, {
        path,
        offset: number * meta.pageSize,
      });
    }
    if (!visit(number, birth) || level === 0) return;
    const { view, rows } = source.page(number, birth, kindOf(order, level), level);
    for (let index = 0; index < rows; index++) {
      const child = { number: branchChild(view, index), birth: branchBirth(view, index) };
      walkTree(order, { ...child, level: level - 1 });
    }
  };
  if (meta.keyRoot.rows > 0) walkTree("key", meta.keyRoot);
  if (meta.rankRoot.rows > 0) walkTree("rank", meta.rankRoot);
  loadGenerations(meta, source, path, visit);
}

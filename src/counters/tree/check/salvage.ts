/**
 * Finds every counter that a damaged keyspace file still holds. The file has each counter twice, once in
 * key order and once in rank order. So what a bad page takes from one order is mostly still in the other.
 * Changes nothing.
 */

import { byteText } from "../../../base/byte_text.ts";
import { CorruptError } from "../../../base/errors.ts";
import type { StoredFile } from "../../../file/mod.ts";
import { branchBirth, branchChild } from "../pages/branch.ts";
import { keyLeafRow } from "../pages/key_leaf.ts";
import { type Meta, readMetaBlocks } from "../pages/meta.ts";
import { contentProblem, ScratchPages } from "../pages/page_source.ts";
import { rankLeafRow } from "../pages/rank_leaf.ts";
import { kindOf, type Order, type Root } from "../pages/root.ts";
import { loadGenerations } from "../read/snapshot.ts";

export interface SalvagedTree {
  readonly name: Uint8Array;
  /** The applied generation of each slot. */
  readonly generations: BigUint64Array;
  /** By key, as a Latin-1 string of its bytes. */
  readonly counters: ReadonlyMap<string, bigint>;
  /** The number of counters by the meta block. */
  readonly expected: number;
  /** Why pages could not be used, in sentences. */
  readonly problems: readonly string[];
}

/**
 * Reads what is left of a file. Throws `CorruptError` if the meta blocks or the applied generations are
 * lost: without the generations it is unknown which logs the counters already include.
 */
export function salvageTree(file: StoredFile): SalvagedTree {
  const { newest: meta } = readMetaBlocks(file);
  const source = new ScratchPages(file, meta.pageSize);
  const generations = loadGenerations(meta, source, file.path);
  const problems = new Set<string>();
  const keys = new Map<string, bigint>();
  const ranks = new Map<string, bigint>();
  const context = { meta, source, problems };
  gather(context, "key", meta.keyRoot, keys);
  gather(context, "rank", meta.rankRoot, ranks);
  const counters = new Map(ranks);
  for (const [key, count] of keys) {
    const other = counters.get(key);
    if (other !== undefined && other !== count) {
      problems.add(`Two counts for one key: ${count} and ${other}; the first is kept`);
    }
    counters.set(key, count);
  }
  return {
    name: meta.name,
    generations,
    counters,
    expected: meta.keyRoot.rows,
    problems: [...problems],
  };
}

interface Context {
  readonly meta: Meta;
  readonly source: ScratchPages;
  readonly problems: Set<string>;
}

function gather(
  { meta, source, problems }: Context,
  order: Order,
  root: Root,
  into: Map<string, bigint>,
): void {
  const seen = new Set<number>();
  const visit = (number: number, birth: number, level: number): void => {
    // Damage could form a cycle.
    if (seen.has(number)) return;
    seen.add(number);
    let frame;
    try {
      frame = source.page(number, birth, kindOf(order, level), level);
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      problems.add(error.message);
      return;
    }
    const problem = contentProblem(frame, kindOf(order, level));
    if (problem !== null) {
      problems.add(source.corrupt(number, problem).message);
      return;
    }
    for (let index = 0; index < frame.rows; index++) {
      if (level > 0) {
        visit(branchChild(frame.view, index), branchBirth(frame.view, index), level - 1);
        continue;
      }
      const { key, count } = order === "key" ? keyLeafRow(frame, index) : rankLeafRow(frame, index);
      into.set(byteText(key), count);
    }
  };
  if (meta.keyRoot.rows > 0) visit(root.number, root.birth, root.level);
}

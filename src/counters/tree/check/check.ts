/**
 * Finds every broken rule of a keyspace file. It reads the whole newest snapshot and changes nothing. If a
 * worker writes the file during the check, the snapshot may get lost: then `SnapshotLostError` is thrown,
 * and the caller tries again. The numbers are those of README.md.
 */

import { CorruptError } from "../../../base/errors.ts";
import type { Storage, StoredFile } from "../../../file/mod.ts";
import { OrderCheck } from "./check_order.ts";
import { firstPageOf, type Meta, type MetaBlocks, readMetaBlocks } from "../pages/meta.ts";
import { ScratchPages } from "../pages/page_source.ts";
import { countersOf, loadGenerations, walkPages } from "../read/snapshot.ts";
import { SnapshotLostError, TreeReader } from "../read/tree_reader.ts";
import {
  CHECK_GENERATIONS,
  CHECK_HEAD,
  CHECK_ONCE,
  CHECK_PAGE,
  CHECK_SAME_COUNTERS,
  CHECK_SIZE,
  CHECK_SUM,
  type Violation,
  ViolationList,
} from "./violation.ts";

/**
 * Checks one file. Throws `OsError` if it cannot be read, and `NewerFormatError` and `OldFormatError`: what
 * is of another format cannot be checked, and is not damaged.
 */
export function checkTreeFile(storage: Storage, path: string): Violation[] {
  using file = storage.open(path, { access: "read" });
  const list = new ViolationList(path);
  const blocks = checkHead(file, list);
  if (blocks === null) return list.found;
  checkPages(file, blocks.newest, list);
  if (list.found.length > 0 && isOverwritten(file, blocks.newest)) {
    throw new SnapshotLostError(`Snapshot ${blocks.newest.transaction} of ${path} is gone`);
  }
  return list.found;
}

/**
 * Checks the meta blocks. A commit overwrites two of them, so a crash damages those of one transaction at
 * most.
 */
function checkHead(file: StoredFile, list: ViolationList): MetaBlocks | null {
  let blocks: MetaBlocks;
  try {
    blocks = readMetaBlocks(file);
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    list.add(CHECK_HEAD, error.where.offset, error.message);
    return null;
  }
  const { newest, problems } = blocks;
  const odd = problems.filter(({ block }) => block % 2 === 1);
  if (odd.length > 0 && odd.length < problems.length) {
    for (const { block, problem } of problems) {
      list.add(CHECK_HEAD, block * newest.blockBytes, `Meta block ${block} is damaged: ${problem}`);
    }
  }
  const { size } = file.status();
  const needed = newest.pageCount * newest.pageSize;
  if (size < needed) {
    list.add(CHECK_SIZE, size, `The file is cut off: ${size} of ${needed} bytes`);
    return null;
  }
  return blocks;
}

function checkPages(file: StoredFile, meta: Meta, list: ViolationList): void {
  const seen = new Uint8Array(meta.pageCount);
  const claim = (number: number, parent: number): boolean => {
    const offset = parent * meta.pageSize;
    if (number < firstPageOf(meta) || number >= meta.pageCount) {
      list.add(CHECK_PAGE, offset, `Page ${parent} names page ${number}, which does not exist`);
      return false;
    }
    if (seen[number] !== 0) {
      list.add(CHECK_ONCE, number * meta.pageSize, `Page ${number} is named twice`);
      return false;
    }
    seen[number] = 1;
    return true;
  };
  const source = new ScratchPages(file, meta.pageSize);
  const keys = new OrderCheck("key", { meta, source, list, claim });
  const ranks = new OrderCheck("rank", { meta, source, list, claim });
  keys.run(meta.keyRoot);
  ranks.run(meta.rankRoot);
  const isWhole = list.found.length === 0;
  if (isWhole && (keys.sumA !== ranks.sumA || keys.sumB !== ranks.sumB)) {
    list.add(
      CHECK_SAME_COUNTERS,
      meta.rankRoot.number * meta.pageSize,
      `The two orders hold different counters: ${firstDifference(file, meta, source)}`,
    );
  }
  if (isWhole && keys.total !== meta.sum) {
    list.add(CHECK_SUM, 0, `The counters sum to ${keys.total}, the meta block says ${meta.sum}`);
  }
  try {
    loadGenerations(meta, source, list.path);
    const onlyGenerations = { ...meta, keyRoot: { ...meta.keyRoot, rows: 0 } };
    walkPages(
      { ...onlyGenerations, rankRoot: { ...meta.rankRoot, rows: 0 } },
      source,
      list.path,
      (number) => claim(number, 0),
    );
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    list.add(CHECK_GENERATIONS, error.where.offset, error.message);
  }
}

/** Describes the first counter of the key order that the rank order does not have. */
function firstDifference(file: StoredFile, meta: Meta, source: ScratchPages): string {
  const reader = new TreeReader(file);
  if (reader.transaction !== meta.transaction) return "the file has changed during the check";
  for (const { key, count } of countersOf(source, meta.keyRoot)) {
    try {
      const rank = reader.rankOf(key);
      if (rank >= 0 && reader.at(rank)?.count === count) continue;
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
    }
    const shown = new TextDecoder().decode(key);
    return `${JSON.stringify(shown)} with ${count} has no place in the rank order`;
  }
  return "one of the rank order is not in the key order";
}

/** Whether enough was committed since that pages of the snapshot may have been written again. */
function isOverwritten(file: StoredFile, meta: Meta): boolean {
  try {
    const { newest } = readMetaBlocks(file);
    return newest.transaction > meta.transaction + 1;
  } catch (error) {
    if (error instanceof CorruptError) return false;
    throw error;
  }
}

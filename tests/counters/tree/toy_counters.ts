/** The simplest counters that work: a map, which is sorted for each rank. */

import { INT64_MAX, INT64_MIN } from "../../../src/base/int64.ts";
import { Batch } from "../../../src/counters/tree/mod.ts";
import type { TreeReader, TreeWriter } from "../../../src/counters/tree/mod.ts";
import { assertEquals } from "@std/assert";
import type { Random } from "../../support/random.ts";

export type Pair = readonly [key: string, increment: bigint];

export interface ToyRow {
  readonly key: string;
  readonly count: bigint;
}

export class ToyCounters {
  readonly counts = new Map<string, bigint>();

  add(pairs: readonly Pair[]): void {
    const sums = new Map<string, bigint>();
    for (const [key, increment] of pairs) {
      if (increment !== 0n) sums.set(key, (sums.get(key) ?? 0n) + increment);
    }
    for (const [key, sum] of sums) {
      const exact = (this.counts.get(key) ?? 0n) + sum;
      this.counts.set(key, exact > INT64_MAX ? INT64_MAX : exact < INT64_MIN ? INT64_MIN : exact);
    }
  }

  /** Keys are ASCII here, so that strings sort as their bytes do. */
  ranking(): ToyRow[] {
    return [...this.counts].map(([key, count]) => ({ key, count })).sort((a, b) =>
      a.count === b.count ? (a.key < b.key ? -1 : 1) : a.count > b.count ? -1 : 1
    );
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Takes a batch through all steps but the syncs. */
export function commit(
  writer: TreeWriter,
  pairs: readonly Pair[],
  { generations = new Map(), pinned = false }: {
    readonly generations?: ReadonlyMap<number, bigint>;
    readonly pinned?: boolean;
  } = {},
): void {
  writer.apply(Batch.of(pairs), generations, { pinned });
  writer.publish();
}

/** Rows in wire form as text and count. */
export function decodeRows(bytes: Uint8Array): ToyRow[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: ToyRow[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint16(at + 8, true);
    const key = textOf(bytes.subarray(at + 10, at + 10 + length));
    rows.push({ key, count: view.getBigInt64(at, true) });
    at += 10 + length;
  }
  return rows;
}

/** Compares every answer of the reader with the toy's: all rows, and `probes` random keys and pages. */
export function assertSameCounters(
  reader: TreeReader,
  toy: ToyCounters,
  { random, probes }: { readonly random: Random; readonly probes: number },
): void {
  const ranking = toy.ranking();
  assertEquals(reader.total, ranking.length);
  const all = reader.page(0, ranking.length + 10);
  assertEquals(all.rows, ranking.length);
  assertEquals(decodeRows(all.bytes), ranking);
  for (let probe = 0; probe < probes && ranking.length > 0; probe++) {
    const rank = random.below(ranking.length);
    const { key, count } = ranking[rank]!;
    assertEquals(reader.get(bytesOf(key)), count);
    assertEquals(reader.rankOf(bytesOf(key)), rank);
    const at = reader.at(rank)!;
    assertEquals({ key: textOf(at.key), count: at.count }, { key, count });
    const length = random.below(40);
    const page = reader.page(rank, length);
    assertEquals(decodeRows(page.bytes), ranking.slice(rank, rank + length));
    const stranger = (key + "~").slice(0, 256);
    assertEquals(reader.get(bytesOf(stranger)), toy.counts.get(stranger) ?? null);
    const probeKey = bytesOf(stranger);
    const before = ranking.filter((row) =>
      row.count > count || (row.count === count && row.key < stranger)
    ).length;
    const view = new DataView(probeKey.buffer);
    const halves = [Number(BigInt.asIntN(32, count >> 32n)), Number(BigInt.asIntN(32, count))];
    assertEquals(reader.rowsBefore(halves[0]!, halves[1]!, view, 0, probeKey.length), before);
  }
  assertEquals(reader.at(ranking.length), null);
  assertEquals(reader.page(ranking.length + 5, 3).rows, 0);
}

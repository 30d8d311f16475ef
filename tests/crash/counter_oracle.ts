/**
 * What must be true of counters after any crash. Every batch of increments adds two values to each keyspace
 * that it names: a counter of its own, which must be 0 or 1, and a part of one common sum. So a batch that
 * was lost, counted twice, or counted in half is detected, and the message names it.
 */

import { assert, assertEquals } from "@std/assert";

export interface SentBatch {
  readonly number: number;
  readonly keyspaces: readonly string[];
  readonly value: bigint;
  acknowledged: boolean;
}

/** Counter values by keyspace and key, as they are stored. */
export type Totals = ReadonlyMap<string, ReadonlyMap<string, bigint>>;

export class CounterOracle {
  batches: SentBatch[] = [];

  /** Records that a batch is about to be written; its number alone determines its value. */
  send(keyspaces: readonly string[]): SentBatch {
    const number = this.batches.length;
    const batch: SentBatch = {
      number,
      keyspaces,
      // Beyond 2^53, so that a count kept as a double is detected.
      value: 2n ** 54n + BigInt(number) * 1_000_003n + 1n,
      acknowledged: false,
    };
    this.batches.push(batch);
    return batch;
  }

  copy(): CounterOracle {
    const copy = new CounterOracle();
    copy.batches = this.batches.map((batch) => ({ ...batch }));
    return copy;
  }

  /** Throws unless the totals are a set of complete batches that includes every acknowledged one. */
  judge(totals: Totals): void {
    const sums = new Map<string, bigint>();
    const counters = new Map<string, number>();
    for (const batch of this.batches) {
      const found = batch.keyspaces.map((keyspace) =>
        totals.get(keyspace)?.get(keyOfBatch(batch)) ?? 0n
      );
      const name = `batch ${batch.number} in ${batch.keyspaces.join(", ")}`;
      for (const count of found) {
        assert(count === 0n || count === 1n, `${name} is counted ${found.join(", ")} times`);
        assertEquals(count, found[0], `${name} is counted in one keyspace and not in another`);
        if (batch.acknowledged) assertEquals(count, 1n, `${name} was acknowledged and is lost`);
      }
      if (found[0] !== 1n) continue;
      for (const keyspace of batch.keyspaces) {
        sums.set(keyspace, (sums.get(keyspace) ?? 0n) + batch.value);
        counters.set(keyspace, (counters.get(keyspace) ?? 1) + 1);
      }
    }
    for (const [keyspace, counts] of totals) {
      const sum = counts.get(SUM_KEY) ?? 0n;
      assertEquals(sum, sums.get(keyspace) ?? 0n, `the sum of ${keyspace}`);
      assertEquals(counts.size, counters.get(keyspace) ?? 0, `number of counters in ${keyspace}`);
    }
  }
}

export const SUM_KEY = "sum";

/** Long enough that most frames cross a sector and can be torn. */
export function keyOfBatch(batch: SentBatch): string {
  return `batch-${batch.number}-`.padEnd(250, "x");
}

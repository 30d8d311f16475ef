/** Random batches, compared with the toy, on pages so small that the trees are deep. */

import { assert, assertEquals } from "@std/assert";
import { INT64_MAX, INT64_MIN } from "../../../src/base/int64.ts";
import { Batch } from "../../../src/counters/tree/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { TreeFixture } from "./open_tree.ts";
import { assertSameCounters, commit, type Pair, ToyCounters } from "./toy_counters.ts";

/** Distributions of keys and increments. */
const shapes: Record<string, (random: Random) => Pair> = {
  "short keys, small counts": (random) => [`k${random.below(3000)}`, BigInt(random.between(-3, 9))],
  "few keys that move a lot": (
    random,
  ) => [`${random.below(60)}`, BigInt(random.between(-900, 900))],
  "ascending keys": (random) => [
    `${1e6 + Math.floor(random.fraction() ** 2 * 4000)}`,
    BigInt(random.between(0, 2)),
  ],
  "keys of all lengths": (random) => [
    random.chance(0.02)
      ? ""
      : ("ab".repeat(random.below(129)) + random.below(40)).slice(-random.between(1, 256)),
    BigInt(random.between(-1, 1)),
  ],
  "counts at the limits": (random) => [
    `limit${random.below(500)}`,
    random.pick([INT64_MAX, INT64_MIN, 1n, -1n, 2n ** 40n, -(2n ** 33n), 0n]),
  ],
  "counts of all widths": (random) => [
    `w${random.below(2000)}`,
    random.bigInt64() >> BigInt(random.below(64)),
  ],
};

for (const [shape, makePair] of Object.entries(shapes)) {
  const count = new FullCount(`trees, ${shape}`);
  Deno.test(`Trees answer as the toy does: ${shape}`, async () => {
    const random = new Random(seedForTest(`Trees, ${shape}`));
    await withTemporaryDirectory((directory) => {
      using fixture = new TreeFixture(directory, { pageSize: random.pick([1024, 2048, 4096]) });
      const toy = new ToyCounters();
      const reader = fixture.openReader(random.pick([0, 2 ** 20]));
      for (const round of count.rounds(60, 600)) {
        const size = random.pick([0, 1, 2, 20, 20, 200, count.isLong ? 5000 : 1000]);
        const pairs = Array.from({ length: size }, () => makePair(random));
        if (random.chance(0.1)) {
          fixture.writer.apply(Batch.of(pairs), new Map(), { pinned: false });
          fixture.writer.rollBack();
        }
        if (random.chance(0.1)) fixture.reopenWriter();
        commit(fixture.writer, pairs, { pinned: random.chance(0.1) });
        toy.add(pairs);
        assert(reader.refresh(), "a commit is a new snapshot");
        assertEquals(reader.total, toy.counts.size);
        assertEquals(reader.sum, [...toy.counts.values()].reduce((sum, count) => sum + count, 0n));
        if (round % 6 === 0) assertSameCounters(reader, toy, { random, probes: 20 });
        if (round % 20 === 0) fixture.assertSound();
      }
      assertSameCounters(reader, toy, { random, probes: 200 });
      fixture.assertSound();
    });
  });
}

Deno.test("A writer that opens the file anew continues as the previous one would have", async () => {
  const random = new Random(seedForTest("Writer opens anew"));
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const toy = new ToyCounters();
    let largest = 0;
    for (let round = 0; round < 120; round++) {
      const pairs: Pair[] = Array.from(
        { length: 50 },
        () => [`k${random.below(1000)}`, BigInt(random.between(-2, 5))],
      );
      fixture.reopenWriter();
      commit(fixture.writer, pairs);
      toy.add(pairs);
      if (round === 60) largest = fixture.size;
    }
    assertSameCounters(fixture.openReader(), toy, { random, probes: 100 });
    assert(
      fixture.size < largest * 1.5,
      `pages are used again: ${largest} bytes became ${fixture.size}`,
    );
    fixture.assertSound();
  });
});

const smallBatches = new FullCount("endless small batches");

Deno.test("Pages are used again, and leaves stay well filled, under many small batches", async () => {
  const random = new Random(seedForTest("Endless small batches"));
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory, { pageSize: 4096 });
    const keys = 5000;
    commit(fixture.writer, Array.from({ length: keys }, (_, key): Pair => [`key${key}`, 1n]));
    for (const _ of smallBatches.rounds(300, 3000)) {
      const pairs = Array.from(
        { length: 30 },
        (): Pair => [`key${random.below(keys)}`, BigInt(random.between(1, 1000))],
      );
      commit(fixture.writer, pairs);
    }
    // A row takes some 37 bytes in both orders; half-filled leaves and three versions are the bound.
    assert(fixture.size < keys * 37 * 6, `${fixture.size} bytes for ${keys} counters`);
    fixture.assertSound();
  });
});

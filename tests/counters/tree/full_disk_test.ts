/** A full disk at every place where a fold needs space: the file stays as it was, and works again later. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { OsError, systemStorage } from "../../../src/file/mod.ts";
import { Batch } from "../../../src/counters/tree/mod.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { TreeFixture } from "./open_tree.ts";
import { assertSameCounters, commit, type Pair, ToyCounters } from "./toy_counters.ts";

for (const kind of ["allocate", "write"] as const) {
  Deno.test(`When ${kind} finds no space the file is as it was, and the next try counts once`, async () => {
    const random = new Random(seedForTest(`Full disk, ${kind}`));
    await withTemporaryDirectory((directory) => {
      const faults = new Faults();
      using fixture = new TreeFixture(directory, {
        storage: faultyStorage(systemStorage(), faults),
      });
      const toy = new ToyCounters();
      const reader = fixture.openReader();
      let failures = 0;
      for (let round = 0; round < 60; round++) {
        const pairs = Array.from(
          { length: 300 },
          (): Pair => [`key${random.below(40 * (round + 1))}`, BigInt(random.between(-4, 9))],
        );
        const failed = faults.failed;
        faults.failAt(kind, 1 + random.below(3), "ENOSPC");
        try {
          fixture.writer.apply(Batch.of(pairs), new Map([[1, BigInt(round + 1)]]), {
            pinned: round % 3 === 0,
          });
        } catch (error) {
          assert(error instanceof OsError, String(error));
          assertEquals(error.code, "ENOSPC");
        }
        faults.heal();
        if (faults.failed > failed) {
          failures++;
          assertEquals(reader.refresh(), false, "nothing was published");
          assertEquals(fixture.writer.applied(1), BigInt(round));
          if (round % 4 === 0) fixture.assertSound();
          if (round % 5 === 0) fixture.reopenWriter();
          commit(fixture.writer, pairs, { generations: new Map([[1, BigInt(round + 1)]]) });
        } else {
          fixture.writer.publish();
        }
        toy.add(pairs);
        reader.refresh();
        assertEquals(reader.applied(1), BigInt(round + 1));
      }
      assert(failures > 10, `${failures} failures`);
      assertSameCounters(reader, toy, { random, probes: 50 });
      fixture.assertSound();
    });
  });
}

Deno.test("A log is never applied twice: a generation that does not rise is refused", async () => {
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    commit(fixture.writer, [["a", 1n]], { generations: new Map([[3, 7n]]) });
    for (const generation of [7n, 6n, 0n]) {
      assertThrows(() =>
        fixture.writer.apply(Batch.of([["a", 1n]]), new Map([[3, generation]]), { pinned: false })
      );
    }
    commit(fixture.writer, [], { generations: new Map([[3, 8n]]) });
    const reader = fixture.openReader();
    assertEquals(reader.get(new TextEncoder().encode("a")), 1n);
    assertEquals(reader.applied(3), 8n);
    assertEquals(reader.applied(4), 0n);
    fixture.assertSound();
  });
});

Deno.test("Generations of thousands of slots are kept, in the meta block and behind it", async () => {
  const random = new Random(seedForTest("Generations of thousands of slots"));
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const generations = new Map<number, bigint>();
    for (let round = 1; round <= 30; round++) {
      const raised = new Map<number, bigint>();
      for (let index = 0; index < 20; index++) {
        const slot = random.below(random.pick([10, 448, 449, 5000]));
        raised.set(slot, (generations.get(slot) ?? 0n) + BigInt(1 + random.below(2 ** 31)));
      }
      for (const [slot, generation] of raised) generations.set(slot, generation);
      commit(fixture.writer, [["a", 1n]], { generations: raised });
      if (round % 7 === 0) fixture.reopenWriter();
      const reader = fixture.openReader();
      for (let slot = 0; slot < 5005; slot++) {
        assertEquals(reader.applied(slot), generations.get(slot) ?? 0n);
        assertEquals(fixture.writer.applied(slot), generations.get(slot) ?? 0n);
      }
    }
    fixture.assertSound();
  });
});

Deno.test("A writer whose publish failed is not used again, and a new one continues", async () => {
  const random = new Random(seedForTest("Publish is broken off"));
  await withTemporaryDirectory((directory) => {
    const faults = new Faults();
    using fixture = new TreeFixture(directory, { storage: faultyStorage(systemStorage(), faults) });
    const toy = new ToyCounters();
    for (let round = 0; round < 20; round++) {
      const pairs: Pair[] = [[`key${random.below(30)}`, 1n], ["always", 2n]];
      fixture.writer.apply(Batch.of(pairs), new Map(), { pinned: false });
      const transaction = fixture.writer.transaction;
      faults.failAt("write", 1 + round % 2, "EIO");
      assertThrows(() => fixture.writer.publish(), OsError);
      fixture.writer.rollBack();
      assertThrows(() => fixture.writer.apply(Batch.of(pairs), new Map(), { pinned: false }));
      fixture.reopenWriter();
      // The transaction counts only if the first block was written.
      assertEquals(fixture.writer.transaction, transaction + round % 2);
      if (round % 2 === 1) toy.add(pairs);
      fixture.assertSound();
      assertSameCounters(fixture.openReader(), toy, { random, probes: 5 });
    }
  });
});

/** What readers see while a writer commits, in one process and across processes. */

import { assert, assertEquals } from "@std/assert";
import { Batch, SnapshotLostError } from "../../../src/counters/tree/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { TreeFixture } from "./open_tree.ts";
import { bytesOf, commit, decodeRows, type Pair, ToyCounters } from "./toy_counters.ts";

const overwritten = new FullCount("overwritten snapshots");

function somePairs(random: Random, count: number): Pair[] {
  return Array.from({ length: count }, (): Pair => [`k${random.below(800)}`, 1n]);
}

Deno.test("A snapshot is whole until the second commit after it is published", async () => {
  const random = new Random(seedForTest("Snapshot is whole"));
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const toy = new ToyCounters();
    for (let round = 0; round < 40; round++) {
      const pairs = somePairs(random, 100);
      commit(fixture.writer, pairs);
      toy.add(pairs);
      const reader = fixture.openReader(0);
      const expected = toy.ranking();
      // One commit later, with the pages of the next one written but not published.
      const more = somePairs(random, 100);
      commit(fixture.writer, more);
      toy.add(more);
      const next = somePairs(random, 100);
      fixture.writer.apply(Batch.of(next), new Map(), { pinned: false });
      assertEquals(decodeRows(reader.page(0, 1000).bytes), expected);
      if (random.chance(0.5)) {
        fixture.writer.rollBack();
      } else {
        fixture.writer.publish();
        toy.add(next);
      }
    }
    fixture.assertSound();
  });
});

Deno.test("A reader whose snapshot was overwritten reports that, and never answers with other rows", async () => {
  const random = new Random(seedForTest("Snapshot is overwritten"));
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const toy = new ToyCounters();
    let lost = 0;
    for (const _ of overwritten.rounds(200, 2000)) {
      const pairs = somePairs(random, 60);
      commit(fixture.writer, pairs);
      toy.add(pairs);
      const expected = toy.ranking();
      // Some of its pages are in the cache and some are not.
      const reader = fixture.openReader(0);
      reader.at(random.below(reader.total));
      const age = random.between(0, 6);
      for (let commits = 0; commits < age; commits++) {
        const more = somePairs(random, 60);
        commit(fixture.writer, more);
        toy.add(more);
      }
      for (let probe = 0; probe < 10; probe++) {
        const rank = random.below(expected.length);
        const { key, count } = expected[rank]!;
        try {
          assertEquals(reader.get(bytesOf(key)), count);
          assertEquals(reader.rankOf(bytesOf(key)), rank);
          assertEquals(decodeRows(reader.page(rank, 5).bytes), expected.slice(rank, rank + 5));
        } catch (error) {
          assert(error instanceof SnapshotLostError, String(error));
          assert(age >= 2, `lost after ${age} commits`);
          lost++;
          assert(reader.refresh());
          const now = toy.ranking()[0]!;
          assertEquals(reader.get(bytesOf(now.key)), now.count);
          break;
        }
      }
    }
    assert(overwritten.isShort || lost > 0, "some snapshots were overwritten");
    fixture.assertSound();
  });
});

Deno.test("While the file is pinned no snapshot is overwritten, however many commits follow", async () => {
  const random = new Random(seedForTest("Pinned"));
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const toy = new ToyCounters();
    for (let round = 0; round < 5; round++) {
      const pairs = somePairs(random, 200);
      commit(fixture.writer, pairs);
      toy.add(pairs);
    }
    const expected = toy.ranking();
    const reader = fixture.openReader(0);
    for (let round = 0; round < 20; round++) {
      commit(fixture.writer, somePairs(random, 200), { pinned: true });
      if (round % 5 === 0) fixture.reopenWriter();
    }
    assertEquals(decodeRows(reader.page(0, 1000).bytes), expected);
    const pinnedSize = fixture.size;
    for (let round = 0; round < 20; round++) commit(fixture.writer, somePairs(random, 200));
    assertEquals(fixture.size, pinnedSize, "what was pinned is used again");
    fixture.assertSound();
  });
});

Deno.test("Readers in other processes see whole snapshots while a writer commits", async () => {
  await withTemporaryDirectory(async (directory) => {
    using fixture = new TreeFixture(directory);
    const accounts = 300;
    // What one counter gains another loses: in every snapshot the counts add up to 0.
    commit(fixture.writer, Array.from({ length: accounts }, (_, key): Pair => [`a${key}`, 1n]));
    commit(fixture.writer, Array.from({ length: accounts }, (_, key): Pair => [`a${key}`, -1n]));
    const readers = Array.from({ length: 2 }, () =>
      new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--allow-all",
          new URL("./reader_process.ts", import.meta.url).pathname,
          fixture.path,
          String(accounts),
        ],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn());
    const random = new Random(seedForTest("Readers in other processes"));
    const outputs = readers.map((reader) => new Response(reader.stdout).text());
    let done = 0;
    const ends = readers.map((reader) => reader.status.then(({ code }) => (done++, code)));
    let commits = 0;
    // Readers end when they have seen enough different snapshots.
    while (done < readers.length && commits < 200_000) {
      for (let round = 0; round < 20; round++, commits++) {
        const pairs: Pair[] = [];
        for (let transfer = 0; transfer < 20; transfer++) {
          const amount = BigInt(random.between(1, 1000));
          pairs.push([`a${random.below(accounts)}`, amount], [
            `a${random.below(accounts)}`,
            -amount,
          ]);
        }
        commit(fixture.writer, pairs);
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    for (const reader of readers) await reader.stdin.close();
    assertEquals(await Promise.all(ends), [0, 0]);
    for (const output of await Promise.all(outputs)) {
      const seen = JSON.parse(output) as { snapshots: number; lost: number };
      assert(seen.snapshots >= 50, `${seen.snapshots} snapshots were seen`);
    }
    fixture.assertSound();
  });
});

Deno.test("Trimming returns the space that two commits have freed, and both snapshots stay whole", async () => {
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory, { pageSize: 4096 });
    const toy = new ToyCounters();
    const every = Array.from({ length: 20_000 }, (_, key): Pair => [`key${key}`, BigInt(key)]);
    const step = () => {
      commit(fixture.writer, every);
      toy.add(every);
    };
    for (let round = 0; round < 4; round++) step();
    const before = fixture.openReader(0);
    const expected = toy.ranking();
    step();
    const allocated = () => fixture.storage.status(fixture.path).allocatedBytes;
    const full = allocated();
    const trimmed = fixture.writer.trim();
    assert(trimmed > full / 4, `${trimmed} of ${full} bytes`);
    assert(allocated() <= full - trimmed / 2, "the system has them back");
    assertEquals(decodeRows(before.page(0, 30_000).bytes), expected);
    assertEquals(decodeRows(fixture.openReader(0).page(0, 30_000).bytes), toy.ranking());
    fixture.assertSound();
    for (let round = 0; round < 4; round++) {
      step();
      fixture.writer.trim();
      if (round === 1) fixture.reopenWriter();
    }
    assertEquals(decodeRows(fixture.openReader(0).page(0, 30_000).bytes), toy.ranking());
    fixture.assertSound();
  });
});

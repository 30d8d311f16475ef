/** Answers in steps: as right as those in one go, and no walk through logs that do not name a keyspace. */

import { assert, assertEquals } from "@std/assert";
import { noEvents } from "../../../src/base/events.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { WatchedLog } from "../../../src/counters/view/deltas/log_watch.ts";
import {
  NEEDS_FOLD,
  NEEDS_TIME,
  type Overlay,
  Reader,
  RowBuffer,
} from "../../../src/counters/view/mod.ts";
import { StepwiseSort } from "../../../src/counters/view/ranking/stepwise_sort.ts";
import { decodeRows } from "../../../src/counters/wire/mod.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { type Increment, LivingDirectory } from "./living_directory.ts";
import { latin1Bytes, latin1Text } from "./plain_base.ts";

/** Used up after so many parts of the work. */
function limitAfter(parts: number) {
  return {
    get isUsedUp() {
      return parts-- <= 0;
    },
  };
}

Deno.test("Numbers are sorted in steps as in one go", () => {
  const random = new Random(seedForTest("stepwise sort"));
  for (const [before, more] of [[0, 0], [0, 5], [5, 0], [3000, 10], [10, 3000], [20_000, 30_000]]) {
    const all = random.shuffle(Array.from({ length: before! + more! }, (_, index) => index));
    const values = all.map(() => random.below(1000));
    const compare = (left: number, right: number) => values[left]! - values[right]! || left - right;
    const sorted = Uint32Array.from(all.slice(0, before)).sort(compare);
    const sort = new StepwiseSort(sorted, Uint32Array.from(all.slice(before)), compare);
    let result = null;
    while ((result = sort.step()) === null);
    assertEquals(result, Uint32Array.from(all).sort(compare));
  }
});

Deno.test("Answers in steps hold each increment that was accepted before their refresh, once", async () => {
  const random = new Random(seedForTest("answers in steps"));
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    using opened = living.openAgain();
    using reader = new Reader(opened, { stale: false, clock: systemClock, events: noEvents });
    const out = new RowBuffer(4096);
    const page = (ranking: Overlay) => {
      out.truncate(0);
      const count = ranking.copyRows(0, 10_000, out);
      const rows = [...decodeRows(out.filled(), count)];
      return rows.map(({ key, value }) => ({ key: latin1Text(key), value }));
    };
    let turns = 0;
    for (let round = 0; round < 40; round++) {
      const increments = Array.from({ length: random.between(1, 600) }, (): Increment => ({
        keyspace: random.pick(["a", "b"]),
        key: `key-${random.below(2000)}`,
        increment: BigInt(random.between(-3, 9)),
      }));
      await living.write(increments);
      const asOf = reader.refresh();
      const expected = living.ranking("a").map(({ key, value }) => ({ key, value }));
      const sums = new Map(expected.map(({ key, value }) => [key, value]));
      // What comes in between the steps may be in the answer or not, but an answer comes.
      while (true) {
        const answer = reader.ask(latin1Bytes("a"), page, {
          limit: limitAfter(random.below(3)),
          asOf,
        });
        assert(answer !== NEEDS_FOLD);
        if (answer !== NEEDS_TIME) {
          assertEquals(answer.map(({ key }) => key).length >= expected.length, true);
          for (const { key, value } of answer) {
            if (sums.get(key) !== value) {
              assertEquals(
                value,
                living.ranking("a").find((row) => row.key === key)?.value,
              );
            }
          }
          break;
        }
        turns++;
        if (random.chance(0.2)) {
          await living.write([{ keyspace: "a", key: `new-${turns}`, increment: 1n }]);
          if (random.chance(0.5)) reader.refresh();
        }
        if (random.chance(0.05)) {
          await living.seal();
          await living.fold();
        }
      }
      if (random.chance(0.5)) {
        // A question without a limit goes on from the steps of the one before.
        reader.refresh();
        reader.ask(latin1Bytes("a"), page, { limit: limitAfter(1) });
        const answer = reader.ask(latin1Bytes("a"), page);
        const all = living.ranking("a").map(({ key, value }) => ({ key, value }));
        assertEquals(answer, all);
      }
      if (random.chance(0.3)) await living.seal();
      if (random.chance(0.2)) await living.fold();
    }
    assert(turns > 100, `${turns} turns`);
  });
});

Deno.test("A long page that is copied in steps is of one moment, whatever is written, asked and folded before its end", async () => {
  const random = new Random(seedForTest("long page in steps"));
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`, { logSize: 2 ** 20 });
    using opened = living.openAgain();
    using reader = new Reader(opened, { stale: false, clock: systemClock, events: noEvents });
    const some = (count: number) =>
      Array.from({ length: count }, (): Increment => ({
        keyspace: "a",
        key: `key-${random.below(30_000)}`,
        increment: BigInt(random.between(1, 9)),
      }));
    const name = latin1Bytes("a");
    let lost = 0;
    let whole = 0;
    for (let round = 0; round < 8; round++) {
      await living.write(some(15_000));
      if (round % 3 === 1) await living.seal();
      if (round % 3 === 1) await living.fold();
      const asOf = reader.refresh();
      const expected = living.ranking("a");
      const out = new RowBuffer(4096);
      let grown = 0;
      const onGrown = () => void (grown = out.length);
      const range = { offset: round, length: 65_536 };
      const begun = () => reader.copy(name, range, { limit: limitAfter(1), asOf, out, onGrown });
      let copy = begun();
      while (copy === NEEDS_TIME) copy = begun();
      assert(copy !== NEEDS_FOLD);
      assertEquals([copy.rows, copy.total], [expected.length - round, expected.length]);
      let turns = 0;
      for (; !copy.advance(limitAfter(0)); turns++) {
        await living.write(some(20));
        reader.refresh();
        const total = (ranking: Overlay) => ranking.total();
        // Another question goes on with the copy first.
        const asked = random.chance(0.5) ? NEEDS_TIME : reader.ask(name, total, {
          limit: limitAfter(0),
        });
        assert(asked === NEEDS_TIME || copy.advance(limitAfter(0)) || turns === 0);
        // A fold that is waited for does not.
        if (round % 4 === 3 && turns === 1) await reader.askAfterFold(name, total).catch(() => {});
      }
      assert(turns > 0, `${turns} turns`);
      if (copy.isLost) {
        lost++;
        continue;
      }
      whole++;
      assertEquals(grown, out.length);
      const rows = [...decodeRows(out.filled(), copy.rows)]
        .map(({ key, value }) => ({ key: latin1Text(key), value }));
      assertEquals(rows, expected.slice(round));
    }
    assert(whole > 4 && lost > 0, `${whole} whole, ${lost} lost`);
  });
});

Deno.test("An unknown keyspace costs no walk through logs that do not name it", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`, { logs: 8 });
    const increments = Array.from({ length: 2000 }, (_, index): Increment => ({
      keyspace: `known-${index % 40}`,
      key: `key-${index}`,
      increment: 1n,
    }));
    for (let round = 0; round < 3; round++) await living.write(increments);
    using opened = living.openAgain();
    using reader = new Reader(opened, { stale: false, clock: systemClock, events: noEvents });
    let reads = 0;
    const { readSome } = WatchedLog.prototype;
    WatchedLog.prototype.readSome = function (...args) {
      reads++;
      return readSome.apply(this, args);
    };
    try {
      reader.refresh();
      const total = (ranking: Overlay) => ranking.total();
      assertEquals(reader.ask(latin1Bytes("unknown"), total), 0);
      const forNames = reads;
      assert(forNames > 0);
      for (let index = 0; index < 1000; index++) {
        assertEquals(reader.ask(latin1Bytes(`unknown-${index}`), total), 0);
      }
      // A filter finds a few names that are not there.
      assert(reads - forNames < 100, `${reads - forNames} reads for 1,000 unknown keyspaces`);
      for (let index = 0; index < 40; index++) {
        assertEquals(reader.ask(latin1Bytes(`known-${index}`), total), 50);
      }
    } finally {
      WatchedLog.prototype.readSome = readSome;
    }
  });
});

// Story: while an answer waited for a fold, the view was being rebuilt when the snapshot with one of its logs came.
// The rebuild went on over the new snapshot, and that log counted twice.
Deno.test("An answer that waits for a fold counts a log once that is folded while the view is rebuilt", async () => {
  for (let foldAt = 1; foldAt <= 12; foldAt++) {
    await withTemporaryDirectory(async (directory) => {
      await using living = await LivingDirectory.open(`${directory}/data`, { logSize: 2 ** 20 });
      const some = Array.from({ length: 3000 }, (_, index): Increment => ({
        keyspace: "a",
        key: `key-${index}`,
        increment: 1n,
      }));
      await living.write(some);
      await living.seal();
      await living.fold();
      await living.write(some);
      await living.seal();
      await living.write(some);
      using opened = living.openAgain();
      let nowMs = 0;
      let sleeps = 0;
      const clock = {
        ...systemClock,
        // So the time of each poll is soon used up.
        nowMs: () => nowMs += 2,
        sleep: () => {
          if (++sleeps === foldAt) assert(living.foldOneNow() !== null);
          return Promise.resolve();
        },
      };
      using reader = new Reader(opened, {
        stale: false,
        clock,
        events: noEvents,
        foldWaitMs: Infinity,
      });
      const value = await reader.askAfterFold(latin1Bytes("a"), (ranking) => {
        const out = new RowBuffer(4096);
        const count = ranking.copyRows(0, 1, out);
        return [...decodeRows(out.filled(), count)][0]?.value;
      });
      assertEquals(value, 3n, `folded at ${foldAt}`);
    });
  }
});

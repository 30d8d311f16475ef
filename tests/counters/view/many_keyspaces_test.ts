/** The list of many keyspaces, a page at a time. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Counters } from "../../../src/counters/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { overridden } from "../../support/overridden.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { LivingDirectory } from "./living_directory.ts";
import { latin1Text } from "./plain_base.ts";

const KEYSPACES = 1500;

Deno.test("Pages of the list have each keyspace once, and read the directory once", async () => {
  // Story: each page read, decoded and sorted all names: 1.8 s a page of 50,000 keyspaces.
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const expected = new Map<string, number>();
    await using counters = await Counters.open(data, { sync: "os" });
    const add = async (from: number, to: number, key: string) => {
      const names = Array.from({ length: to - from }, (_, index) => `keyspace-${from + index}`);
      for (const name of names) expected.set(name, (expected.get(name) ?? 0) + 1);
      await counters.batch(names.map((keyspace) => ({ keyspace, key })));
    };
    await add(0, KEYSPACES, "a");
    await counters.fold();
    // What is in the logs alone: further counters, and further keyspaces.
    await add(KEYSPACES - 20, KEYSPACES + 20, "b");

    const inner = systemStorage();
    const looks = { walks: 0, turns: 0 };
    const storage = overridden(inner, {
      walkDirectory(path) {
        if (path.endsWith("/keyspaces")) looks.walks++;
        return inner.walkDirectory(path);
      },
    });
    const clock = {
      // Each look at the time ends a turn.
      nowMs: () => systemClock.nowMs() + 10 * looks.turns,
      wallMs: () => systemClock.wallMs() + 10_000,
      sleep: (delayMs: number) => {
        looks.turns++;
        return systemClock.sleep(delayMs);
      },
    };
    using reader = Reader.open(storage, data, { stale: false, clock, events: noEvents });
    const found = new Map<string, number>();
    let after = new Uint8Array(0);
    let pages = 0;
    while (true) {
      const { total, rows } = await reader.totals(after);
      assertEquals(total, expected.size);
      for (const { name, counters } of rows) {
        const text = new TextDecoder().decode(name);
        assert(!found.has(text), text);
        found.set(text, counters!);
      }
      if (rows.length === 0) break;
      pages++;
      after = rows.at(-1)!.name.slice();
    }
    assert(pages >= 3 && pages <= 4, `${pages} pages`);
    assertEquals([...found], [...expected].sort(([a], [b]) => a < b ? -1 : 1));
    assertEquals(looks.walks, 1);
  });
});

Deno.test("Others are served between the parts of a page of the list", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using counters = await Counters.open(data, { sync: "os" });
    const names = Array.from({ length: KEYSPACES }, (_, number) => `keyspace-${number}`);
    await counters.batch(names.map((keyspace) => ({ keyspace, key: "a" })));
    await counters.fold();
    let nowMs = 0;
    let others = 0;
    const clock = {
      ...systemClock,
      // A file takes a millisecond: a turn of 4 ms has four rows.
      nowMs: () => nowMs += 1,
      sleep: (delayMs: number) => {
        others++;
        return systemClock.sleep(delayMs);
      },
    };
    using reader = Reader.open(systemStorage(), data, { stale: false, clock, events: noEvents });
    const rows = await reader.keyspaces(new Uint8Array(0));
    assert(others >= rows.length / 5, `${others} pauses for ${rows.length} rows`);
  });
});

// Story: each page walked through all logs, and looked up all changed counters, in one turn of the event loop.
Deno.test("Others are served while a page reads the logs, and it has all that was accepted before it, once", async () => {
  const random = new Random(seedForTest("list in turns"));
  await withTemporaryDirectory(async (directory) => {
    const sizes = { logSize: 2 ** 20, logs: 32 };
    await using living = await LivingDirectory.open(`${directory}/data`, sizes);
    const counts = new Map<string, number>();
    /** Adds counters that did not exist. */
    const add = async (keyspace: string, count: number) => {
      const before = counts.get(keyspace) ?? 0;
      const keys = Array.from({ length: count }, (_, index) => `key-${before + index}`);
      await living.write(keys.map((key) => ({ keyspace, key, increment: 1n })));
      counts.set(keyspace, before + count);
    };
    let turns = 0;
    let nowMs = 0;
    const clock = {
      ...systemClock,
      nowMs: () => nowMs += 1,
      sleep: async () => {
        turns++;
        if (random.chance(0.05)) await add(random.pick(["large", "new"]), random.between(1, 20));
        if (random.chance(0.1)) await living.seal();
        if (random.chance(0.2)) living.foldOneNow();
        if (random.chance(0.2)) reader.refresh();
      },
    };
    using opened = living.openAgain();
    using reader = new Reader(opened, { stale: false, clock, events: noEvents });
    for (let round = 0; round < 6; round++) {
      await add("large", 10_000);
      if (round % 2 === 0) await living.seal();
      const before = new Map(counts);
      turns = 0;
      const { rows } = await reader.totals(new Uint8Array(0));
      for (const { name, counters } of rows) {
        const text = latin1Text(name);
        const most = counts.get(text) ?? 0;
        assert(counters! >= (before.get(text) ?? 0) && counters! <= most, `${text}: ${counters}`);
      }
      // A step looks up 128 counters, and four steps are a turn.
      assert(turns > 10_000 / 128 / 4 / 2, `${turns} turns in round ${round}`);
    }
  });
});

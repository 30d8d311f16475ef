import { assert, assertEquals, assertRejects } from "@std/assert";
import { CorruptError } from "../../../src/base/errors.ts";
import { type Events, noEvents } from "../../../src/base/events.ts";
import { listSlots, nameOfSlot } from "../../../src/counters/commitlog/mod.ts";
import { LogWatch } from "../../../src/counters/view/deltas/log_watch.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { waitUntil } from "../../support/wait.ts";
import { type Increment, LivingDirectory } from "./living_directory.ts";
import { damage, listed, modelList, OpenReader } from "./open_reader.ts";
import { latin1Bytes, latin1Text } from "./plain_base.ts";

async function assertReads(reader: OpenReader, living: LivingDirectory, random: Random) {
  for (const keyspace of [...living.model.keys(), "absent"]) {
    const expected = living.ranking(keyspace);
    const offset = random.chance(0.5) ? 0 : random.below(expected.length + 2);
    const length = random.chance(0.5) ? 1000 : random.below(20);
    const page = await reader.page(latin1Bytes(keyspace), { offset, length });
    const rows = page.rows.map(({ key, value }) => ({ key: latin1Text(key), value }));
    assertEquals(rows, expected.slice(offset, offset + length));
    assertEquals(page.total, expected.length);
    for (let tries = 0; tries < 3 && expected.length > 0; tries++) {
      const rank = random.below(expected.length);
      const { key, value } = expected[rank]!;
      // The value first: it must not need the order of the changed keys, which the rank makes.
      assertEquals(await reader.value(latin1Bytes(keyspace), latin1Bytes(key)), value);
      assertEquals(await reader.key(latin1Bytes(keyspace), latin1Bytes(key)), { rank, value });
    }
    assertEquals(await reader.key(latin1Bytes(keyspace), latin1Bytes("absent")), null);
    assertEquals(await reader.value(latin1Bytes(keyspace), latin1Bytes("absent")), null);
  }
}

const lives = new FullCount("living directory");

Deno.test("A reader sees each increment at once and once, through writing, sealing, folding and reuse", async () => {
  const random = new Random(seedForTest("living directory"));
  for (const _ of lives.rounds(3, 30)) {
    await withTemporaryDirectory(async (directory) => {
      await using living = await LivingDirectory.open(`${directory}/data`);
      using lasting = new OpenReader(living);
      using stale = new OpenReader(living, { stale: true });
      const keyspaces = ["a", "paths", "K/../é", "x".repeat(256)];
      for (let step = 0; step < 60; step++) {
        const what = random.fraction();
        if (what < 0.6) {
          const increments = Array.from({ length: random.between(1, 300) }, (): Increment => ({
            keyspace: random.pick(keyspaces),
            key: random.chance(0.05) ? "" : `key-${random.below(random.pick([5, 500]))}`,
            increment: BigInt(random.between(-3, 9)),
          }));
          await living.write(increments);
        } else if (what < 0.8) {
          await living.seal();
        } else {
          await living.fold();
        }
        if (random.chance(0.7)) await assertReads(lasting, living, random);
        if (random.chance(0.2)) assertEquals(await listed(lasting), modelList(living));
        if (random.chance(0.1)) {
          using late = new OpenReader(living);
          await assertReads(late, living, random);
        }
      }
      await living.seal();
      await living.fold();
      await assertReads(lasting, living, random);
      await assertReads(stale, living, random);
      assertEquals(await listed(stale), modelList(living));
    });
  }
});

Deno.test("A stale reader answers from the files alone", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    await living.write([{ keyspace: "ks", key: "k", increment: 2n }]);
    using stale = new OpenReader(living, { stale: true });
    using fresh = new OpenReader(living);
    assertEquals(await stale.rows("ks"), []);
    assertEquals(await listed(stale), []);
    assertEquals(await fresh.rows("ks"), [{ key: "k", value: 2n }]);
    await living.seal();
    await living.fold();
    await living.write([{ keyspace: "ks", key: "k", increment: 3n }]);
    assertEquals(await stale.rows("ks"), [{ key: "k", value: 2n }]);
    assertEquals(await fresh.rows("ks"), [{ key: "k", value: 5n }]);
  });
});

Deno.test("A log of a dead writer is in the answers before and after its recovery", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    using reader = new OpenReader(living);
    await living.write([{ keyspace: "ks", key: "k", increment: 7n }]);
    living.abandon();
    assertEquals(await reader.rows("ks"), [{ key: "k", value: 7n }]);
    await living.fold();
    assertEquals(await reader.rows("ks"), [{ key: "k", value: 7n }]);
    using late = new OpenReader(living, { stale: true });
    assertEquals(await late.rows("ks"), [{ key: "k", value: 7n }]);
  });
});

Deno.test("Logs that the pool adds later are seen", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`, { logs: 2 });
    using reader = new OpenReader(living);
    for (let round = 1n; round <= 6n; round++) {
      await living.write([{ keyspace: "ks", key: "k", increment: 1n }]);
      await living.seal();
      assertEquals(await reader.rows("ks"), [{ key: "k", value: round }]);
    }
    assertEquals(listSlots(living.storage, `${living.path}/logs`).slots, [0, 1, 2, 3, 4, 5]);
  });
});

Deno.test("A read of what does not exist answers nothing and makes nothing", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    await living.write([{ keyspace: "ks", key: "k", increment: 1n }]);
    const tree = () => {
      const names = (path: string): string[] =>
        [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
          isDirectory ? names(`${path}/${name}`) : [`${path}/${name}`]
        ).sort();
      return names(living.path);
    };
    const before = tree();
    using reader = new OpenReader(living);
    for (const name of ["absent", "..", "../ks", "a/b", "0000000001", "lock-0000000000"]) {
      assertEquals(await reader.rows(name), []);
      assertEquals(await reader.key(latin1Bytes(name), latin1Bytes("k")), null);
    }
    assertEquals(tree(), before);
  });
});

Deno.test("A directory in place of a log is reported once, and no question is answered while it is there", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    await living.write([{ keyspace: "ks", key: "k", increment: 1n }]);
    const bad = `${living.path}/logs/${nameOfSlot(4)}`;
    Deno.mkdirSync(bad);
    const events: string[] = [];
    const reports: Events = { report: (_, event) => events.push(event) };
    using reader = new OpenReader(living, { events: reports });
    for (const keyspace of ["ks", "ks", "unknown"]) {
      await assertRejects(() => reader.rows(keyspace), CorruptError, `${bad} is not a file`);
    }
    assertEquals(events, ["not a commit log"]);
    Deno.removeSync(bad);
    assertEquals(await reader.rows("ks"), [{ key: "k", value: 1n }]);
  });
});

Deno.test("A torn tail is left out, and damage below the durable length is an error of every answer", async () => {
  for (const sync of [false, true]) {
    await withTemporaryDirectory(async (directory) => {
      await using living = await LivingDirectory.open(`${directory}/data`);
      await living.write([{ keyspace: "ks", key: "first", increment: 1n }]);
      await living.write([{ keyspace: "ks", key: "second", increment: 1n }]);
      await living.seal({ sync });
      const repair = damage(`${living.path}/logs/${nameOfSlot(0)}`, "second");
      using reader = new OpenReader(living);
      for (let tries = 0; tries < 2; tries++) {
        if (sync) {
          for (const name of ["ks", "other"]) {
            await assertRejects(() => reader.rows(name), CorruptError, nameOfSlot(0));
          }
          await assertRejects(() => listed(reader), CorruptError, nameOfSlot(0));
        } else {
          assertEquals(await reader.rows("ks"), [{ key: "first", value: 1n }]);
          assertEquals(await reader.rows("other"), []);
          assertEquals(await listed(reader), [["ks", 1]]);
        }
      }
      repair();
      if (sync) assertEquals((await reader.rows("ks")).length, 2);
      using again = new OpenReader(living);
      assertEquals((await again.rows("ks")).length, 2);
    });
  }
});

Deno.test("Many keyspaces with many keys do not disturb each other", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`, { logSize: 2 ** 20 });
    const random = new Random(seedForTest("many keyspaces"));
    const names = Array.from({ length: 300 }, (_, index) => `ks-${index}`);
    using reader = new OpenReader(living);
    for (let round = 0; round < 3; round++) {
      await living.write(names.map((keyspace, index) => ({
        keyspace,
        key: `k${(index + round) % 7}`,
        increment: BigInt(index + 1),
      })));
      if (round === 1) {
        await living.seal();
        await living.fold();
      }
      for (const name of random.shuffle([...names])) {
        assertEquals(await reader.rows(name), living.ranking(name));
      }
      assertEquals(await listed(reader), modelList(living));
    }
    // Any number of names that do not exist evicts no view of a keyspace that exists.
    for (let index = 0; index < 300; index++) {
      assertEquals(await reader.rows(`unknown-${index}`), []);
      assertEquals(await reader.rows("ks-1"), living.ranking("ks-1"));
    }
    const after = latin1Bytes("ks-298");
    assertEquals(
      (await reader.keyspaces(after)).length,
      modelList(living).filter(([name]) => name > "ks-298").length,
    );
  });
});

Deno.test("Pages are whole and in order while a fold runs", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    using reader = new OpenReader(living);
    const keys = Array.from({ length: 2000 }, (_, index) => `key-${index}`);
    let isOver = false;
    let reads = 0;
    const reading = (async () => {
      let before = 0n;
      while (!isOver) {
        const rows = await reader.rows("ks", 0, 5000);
        const sum = rows.reduce((total, { value }) => total + value, 0n);
        // Every round adds one to each key, in order; so values differ by one at most.
        assert(sum >= before, "A sum never falls");
        before = sum;
        const values = rows.map(({ value }) => value);
        assertEquals(
          values,
          [...values].sort((left, right) => left > right ? -1 : left < right ? 1 : 0),
        );
        assertEquals(new Set(rows.map(({ key }) => key)).size, rows.length);
        reads++;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    })();
    for (let round = 0; round < 4; round++) {
      for (let from = 0; from < keys.length; from += 250) {
        await living.write(
          keys.slice(from, from + 250).map((key) => ({
            keyspace: "ks",
            key,
            increment: 1n,
          })),
        );
      }
      await living.seal();
      await living.fold();
      const seen = reads;
      await waitUntil("a read after the fold", () => reads > seen);
    }
    isOver = true;
    await reading;
    assertEquals(await reader.rows("ks", 0, 5000), living.ranking("ks"));
  });
});

// Refresh, step 1.
Deno.test("What was read from a log counts only while the log is in the same use", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    await living.write([{ keyspace: "ks", key: "k", increment: 1n }]);
    using opened = living.openAgain();
    using watch = new LogWatch(opened, noEvents);
    watch.refresh();
    const watched = [...watch.logs].find((log) => log.isPending)!;
    const capture = watched.capture!;
    assert(watched.isStill(capture), "Nothing has happened");
    await living.write([{ keyspace: "ks", key: "k", increment: 1n }]);
    await living.seal();
    assert(watched.isStill(capture), "More frames and a seal leave what was read");
    const slot = living.foldOneNow()!;
    assert(watched.isStill(capture), "No process writes into a log that is free");
    living.claimNow(slot);
    assert(!watched.isStill(capture), "In a new generation anything may have been overwritten");
    const version = watch.version;
    watch.refresh();
    assert(watch.version > version && watched.capture!.generation > capture.generation);
    watch.refresh();
    const settled = watch.version;
    watch.refresh();
    assertEquals(watch.version, settled);
  });
});

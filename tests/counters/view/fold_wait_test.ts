/** More changed keys than a reader may hold: its answers wait for a fold, and not longer than needed. */

import { assertEquals, assertRejects } from "@std/assert";
import { BusyError, CorruptError } from "../../../src/base/errors.ts";
import { nameOfSlot } from "../../../src/counters/commitlog/mod.ts";
import { keyspacePath } from "../../../src/counters/keyspace/mod.ts";
import type { KeyspaceView } from "../../../src/counters/view/keyspace_view.ts";
import { ViewCache } from "../../../src/counters/view/view_cache.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { type Increment, LivingDirectory } from "./living_directory.ts";
import { damage, listed, modelList, OpenReader } from "./open_reader.ts";
import { latin1Bytes, latin1Text } from "./plain_base.ts";
import { counters } from "../read/served_directory.ts";

Deno.test("Past the bound of changed keys an answer waits for the fold, or is refused in time", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    const increments = Array.from({ length: 500 }, (_, index) => ({
      keyspace: index % 2 === 0 ? "even" : "odd",
      key: `key-${index}`,
      increment: BigInt(index + 1),
    }));
    await living.write(increments);
    using patient = new OpenReader(living, { changedKeysMax: 100, foldWaitMs: 60_000 });
    using hasty = new OpenReader(living, { changedKeysMax: 100, foldWaitMs: 50 });
    await assertRejects(() => hasty.rows("even"), BusyError, "start countd worker");
    await assertRejects(() => hasty.key(latin1Bytes("odd"), latin1Bytes("key-1")), BusyError);
    await assertRejects(() => hasty.keyspaces(new Uint8Array(0)), BusyError);
    assertEquals(await hasty.rows("other"), []);

    // Several answers wait at once, for an active log too; increments that come later do not hold them up.
    const waiting = [patient.rows("even"), patient.rows("odd", 10, 5), patient.rows("even")];
    const list = listed(patient);
    const expected = [
      living.ranking("even"),
      living.ranking("odd").slice(10, 15),
      living.ranking("even"),
    ];
    const expectedList = modelList(living);
    await living.seal();
    await living.write([{ keyspace: "other", key: "k", increment: 1n }]);
    await living.fold();
    assertEquals(await Promise.all(waiting), expected);
    assertEquals((await list).slice(0, 2), expectedList.slice(0, 2));
    assertEquals(await hasty.rows("even"), expected[0]);
    assertEquals(await patient.rows("other"), [{ key: "k", value: 1n }]);
  });
});

Deno.test("An answer waits for a fold if the deltas of logs with the same keys take too much memory", async () => {
  // Story: each log has a delta, and only the different keys were counted. 256 logs with the same 150,000
  // keys were held as 38 million sums, some gigabytes.
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    const bounds = { changedKeysMax: 2000, deltaBytesMax: 100_000 };
    using patient = new OpenReader(living, { ...bounds, foldWaitMs: 60_000 });
    using hasty = new OpenReader(living, { ...bounds, foldWaitMs: 20 });
    const keys = counters("ks", 1000);
    const top = () => living.ranking("ks").slice(0, 5);
    // Some 34 bytes each.
    for (let log = 0; log < 6; log++) {
      await living.write(keys);
      await living.seal();
      if (log < 2) assertEquals(await hasty.rows("ks", 0, 5), top());
    }
    await assertRejects(() => hasty.rows("ks", 0, 5), BusyError, "start countd worker");
    const waiting = patient.rows("ks", 0, 5);
    await living.fold();
    assertEquals(await waiting, top());
    assertEquals(await hasty.rows("ks", 0, 5), top());
    await living.write(keys);
    assertEquals(await hasty.rows("ks", 0, 5), top());
  });
});

Deno.test("If the deltas of all views take too much memory, the least recently used views are closed", () => {
  const closed: string[] = [];
  const views = new ViewCache((name) => {
    const deltaBytes = latin1Text(name).startsWith("large") ? 100 * 1024 * 1024 : 1000;
    const close = () => void closed.push(latin1Text(name));
    const view = { isEmpty: false, changedKeys: 10, deltaBytes, [Symbol.dispose]: close };
    return view as unknown as KeyspaceView;
  });
  const ask = (name: string) => void views.get(latin1Bytes(name));
  ["large 1", "small", "large 2", "large 1"].forEach(ask);
  assertEquals(closed, []);
  ask("large 3");
  assertEquals(closed, ["small", "large 2"]);
  views[Symbol.dispose]();
  assertEquals(closed.slice(2), ["large 1", "large 3"]);
});

Deno.test("A reader over the bound recovers by itself when folds catch up", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    using reader = new OpenReader(living, { changedKeysMax: 50, foldWaitMs: 20 });
    for (let round = 0; round < 4; round++) {
      const increments = Array.from({ length: 40 }, (_, index) => ({
        keyspace: "ks",
        key: `key-${round * 40 + index}`,
        increment: 1n,
      }));
      await living.write(increments);
      await living.seal();
      if (round % 2 === 1) {
        await assertRejects(() => reader.rows("ks"), BusyError);
        await living.fold();
      }
      assertEquals(await reader.rows("ks"), living.ranking("ks"));
    }
  });
});

Deno.test("A log that is never folded does not keep an answer waiting when the rest is folded", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    // The log names a keyspace that is damaged, so it is never recycled.
    const bad = keyspacePath(`${living.path}/keyspaces`, latin1Bytes("bad"));
    Deno.writeFileSync(bad, new Uint8Array(65_536).fill(7));
    await living.write([...keys("stuck"), { keyspace: "bad", key: "k", increment: 1n }]);
    await living.seal({ sync: true });
    await living.write(keys("sound"));
    await living.seal();
    using reader = new OpenReader(living, { changedKeysMax: 100, foldWaitMs: 60_000 });
    const waiting = reader.rows("ks");
    const listing = listed(reader);
    await assertRejects(() => living.fold(), CorruptError);
    assertEquals(await waiting, living.ranking("ks"));
    assertEquals(await listing, [["bad", null], ["ks", 120]]);
    Deno.removeSync(bad);
    await living.fold();
    assertEquals(await listed(reader), modelList(living));
  });
});

Deno.test("An answer that waits for a fold ends with the damage of a log that is never folded", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using living = await LivingDirectory.open(`${directory}/data`);
    await living.write([...keys("one"), ...keys("other")]);
    await living.seal();
    await living.write(keys("stuck"));
    await living.write([{ keyspace: "ks", key: "damaged", increment: 1n }]);
    await living.seal({ sync: true });
    const repair = damage(`${living.path}/logs/${nameOfSlot(1)}`, "damaged");
    using reader = new OpenReader(living, { changedKeysMax: 100, foldWaitMs: 60_000 });
    const waiting = assertRejects(() => reader.rows("ks"), CorruptError, nameOfSlot(1));
    const listing = assertRejects(() => listed(reader), CorruptError, nameOfSlot(1));
    await assertRejects(() => living.fold(), CorruptError);
    await waiting;
    await listing;
    repair();
    await living.fold();
    assertEquals(await reader.rows("ks"), living.ranking("ks"));
  });
});

function keys(name: string): Increment[] {
  return Array.from({ length: 60 }, (_, index) => ({
    keyspace: "ks",
    key: `${name}-${index}`,
    increment: 1n,
  }));
}

/** Folds take logs in the order of their claims, not by slot. */

import { assertEquals, assertRejects } from "@std/assert";
import { BusyError } from "../../../src/base/errors.ts";
import { noEvents } from "../../../src/base/events.ts";
import { pathOfSlot, slotLock } from "../../../src/counters/commitlog/mod.ts";
import { LogWatch } from "../../../src/counters/view/deltas/log_watch.ts";
import { batchOf, claim, poolOn, type TestDirectory } from "../../support/data_directory.ts";
import { overridden } from "../../support/overridden.ts";
import { counters, fold, withFolds } from "./folding.ts";

/** Four logs, each with one increment, claimed in this order. Slots 0 and 1 were folded before. */
const slotsInOrder = [2, 3, 0, 1];

async function sealInOrder(test: TestDirectory): Promise<void> {
  const pool = poolOn(test.directory, { logs: 4 });
  await pool.prepare();
  const seal = async () => {
    const log = await claim(pool);
    log.append(batchOf([["ks", "k", 1n]]));
    await log.seal({ sync: true });
    return log.slot;
  };
  assertEquals([await seal(), await seal()], [0, 1]);
  await fold(test);
  assertEquals([await seal(), await seal(), await seal(), await seal()], slotsInOrder);
}

Deno.test("A fold takes logs in the order of their claims", async () => {
  await withFolds(async (test) => {
    await sealInOrder(test);
    const taken: number[] = [];
    const storage = overridden(test.storage, {
      link(from, to) {
        taken.push(Number(to.slice(-10)));
        test.storage.link(from, to);
      },
    });
    await fold(test, storage);
    assertEquals(taken, slotsInOrder);
    assertEquals(counters(test, "ks"), ["k 6"]);
  });
});

Deno.test("The log of a dead writer is folded before the logs that were claimed after it", async () => {
  await withFolds(async (test) => {
    const pool = poolOn(test.directory, { logs: 2 });
    await pool.prepare();
    const dead = await claim(pool);
    dead.append(batchOf([["ks", "k", 1n]]));
    const later = await claim(pool);
    later.append(batchOf([["ks", "k", 1n]]));
    await later.seal({ sync: true });
    dead.leaveForRecovery();
    const recycled: string[] = [];
    const storage = overridden(test.storage, {
      link(from, to) {
        recycled.push(to.slice(-1));
        test.storage.link(from, to);
      },
    });
    await fold(test, storage);
    // Recovered, and then taken again at once. The lock name of a dead holder is there already.
    assertEquals(recycled, ["0", "0", "1"]);
    assertEquals(counters(test, "ks"), ["k 2"]);
  });
});

Deno.test("A reader has logs in the order of their claims", async () => {
  await withFolds(async (test) => {
    await sealInOrder(test);
    using watch = new LogWatch(test.open(), noEvents);
    watch.refresh();
    assertEquals(watch.logs.map(({ slot }) => slot), slotsInOrder);
    await fold(test);
  });
});

Deno.test("A later log waits for an older sealed one that is held for a moment, but not for long", async () => {
  await withFolds(async (test) => {
    await sealInOrder(test);
    const second = slotsInOrder[1]!;
    const other = test.open();
    other.control.tryLock(slotLock(second));
    const isSealed = (slot: number) =>
      test.storage.status(pathOfSlot(test.directory.paths.logs, slot)).mode === 0o200;
    await assertRejects(() => fold(test), BusyError, `Sealed log ${second} is held`);
    assertEquals(slotsInOrder.map(isSealed), [false, true, true, true]);
    await assertRejects(() => fold(test, test.storage, 1500), BusyError, "is held");
    assertEquals(slotsInOrder.map(isSealed), [false, true, false, false]);
    other.control.unlock(slotLock(second));
    await fold(test);
    assertEquals(counters(test, "ks"), ["k 6"]);
  });
});

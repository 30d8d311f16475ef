/** Folds take logs in the order of their claims, not by slot. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { BusyError } from "../../../src/base/errors.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  ActiveLog,
  DataDirectory,
  describeSelf,
  directoryLocks,
  HeldLog,
  pathOfSlot,
  recoverHeld,
  recoverSlot,
  type Recovery,
  slotLock,
} from "../../../src/counters/commitlog/mod.ts";
import { LogWatch } from "../../../src/counters/view/deltas/log_watch.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { OsError } from "../../../src/file/mod.ts";
import { runningAsRoot } from "../../support/ordinary_user.ts";
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
    // Only root can read the header of a sealed log that is held: to others it may be the oldest.
    assertEquals(slotsInOrder.map(isSealed), [!runningAsRoot(), true, true, true]);
    await assertRejects(() => fold(test, test.storage, 1500), BusyError, "is held");
    assertEquals(slotsInOrder.map(isSealed), [false, true, false, false]);
    other.control.unlock(slotLock(second));
    await fold(test);
    assertEquals(counters(test, "ks"), ["k 6"]);
  });
});

/** What a dead writer left: slot 1 was claimed before slot 0, and both have frames. */
async function leaveOutOfSlotOrder(test: TestDirectory): Promise<void> {
  await poolOn(test.directory, { logs: 2 }).prepare();
  for (const slot of [1, 0]) {
    const held = HeldLog.take(test.directory, slot)!;
    const log = await ActiveLog.claim(held, held.header()!, systemClock);
    log.append(batchOf([["ks", "k", 1n]]));
    log.leaveForRecovery();
  }
}

// Story: the next writer recovered the logs of a dead one by slot. While it scanned the older log, a worker
// folded and recycled the later one. A crash then left a keyspace with the later operations alone.
Deno.test("The logs of a dead writer are recovered in the order of their claims", async () => {
  await withFolds(async (test) => {
    await leaveOutOfSlotOrder(test);
    const recoveries: Recovery[] = [];
    poolOn(test.directory, { recoveries }).recoverAll();
    assertEquals(recoveries.map(({ slot }) => slot), [1, 0]);
    await fold(test);
  });
});

// Story: two writers may recover the logs of a dead one at once, so the later log may be sealed first. The
// worker passed by the older log, because it was active and held.
Deno.test("A later log waits for an older active one that another process recovers, but not for long", async () => {
  await withFolds(async (test) => {
    await leaveOutOfSlotOrder(test);
    recoverSlot(test.directory, 0);
    const older = HeldLog.take(test.open(), 1)!;
    const folding = fold(test);
    await systemClock.sleep(300);
    assertEquals(counters(test, "ks"), []);
    recoverHeld(older);
    await folding;
    assertEquals(counters(test, "ks"), ["k 2"]);

    await leaveOutOfSlotOrder(test);
    recoverSlot(test.directory, 0);
    const stopped = HeldLog.take(test.open(), 1)!;
    await fold(test);
    assertEquals(counters(test, "ks"), ["k 3"]);
    recoverHeld(stopped);
    await fold(test);
  });
});

Deno.test("A later log does not wait for the log of a living writer, which grows", async () => {
  await withFolds(async (test) => {
    const pool = poolOn(test.directory, { logs: 2 });
    await pool.prepare();
    const growing = await claim(pool);
    const later = await claim(pool);
    for (const log of [growing, later]) log.append(batchOf([["ks", "k", 1n]]));
    await later.seal({ sync: true });
    const startMs = systemClock.nowMs();
    const folding = fold(test);
    await systemClock.sleep(100);
    growing.append(batchOf([["ks", "k", 1n]]));
    await folding;
    assert(systemClock.nowMs() - startMs < 900, "the fold waited as for a log that rests");
    assertEquals(counters(test, "ks"), ["k 1"]);
    await growing.seal({ sync: true });
    await fold(test);
  });
});

// Story: the time since when a log was held was kept when a fold took the log before a walk had seen it free.
// Its next use, a second later, was then not waited for at all.
Deno.test("A log that was waited for and then taken is waited for again in its next use", async () => {
  await withFolds(async (test) => {
    const pool = poolOn(test.directory, { logs: 2 });
    await pool.prepare();
    const sealBoth = async () => {
      for (const log of [await claim(pool), await claim(pool)]) {
        log.append(batchOf([["ks", "k", 1n]]));
        await log.seal({ sync: true });
      }
    };
    const other = test.open();
    let unlocksAt = 2;
    const storage = overridden(test.storage, {
      // The second walk has found the log held, and takes it.
      reach: (point) => {
        if (point === "claim.1.before" && --unlocksAt === 0) other.control.unlock(slotLock(0));
      },
    });
    using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
    const metrics = new Metrics();
    const worker = new Worker(directory, { clock: systemClock, events: noEvents, metrics });
    const { signal } = new AbortController();
    await sealBoth();
    other.control.tryLock(slotLock(0));
    const runOnce = (lockTimeoutMs: number) =>
      worker.runOnce({ signal, lockTimeoutMs })
        .finally(() => directory.control.unlock(directoryLocks.daemon));
    await runOnce(5000);
    assertEquals(counters(test, "ks"), ["k 2"]);
    await sealBoth();
    other.control.tryLock(slotLock(0));
    await systemClock.sleep(1000);
    await assertRejects(() => runOnce(0), BusyError, "is held");
    assertEquals(counters(test, "ks"), ["k 2"]);
    other.control.unlock(slotLock(0));
    await runOnce(0);
    assertEquals(counters(test, "ks"), ["k 4"]);
  });
});

// Story: an ordinary user cannot read a sealed log without its byte, and a reader holds that for an instant. The
// order of such a log was unknown, so it came first: the second claim was folded before the first one.
Deno.test("A log whose header could not be read is folded in its order all the same", async () => {
  await withFolds(async (test) => {
    await sealInOrder(test);
    const last = slotsInOrder[3]!;
    const other = test.open();
    other.control.tryLock(slotLock(last));
    const taken: number[] = [];
    const storage = overridden(test.storage, {
      open(path, options) {
        const isSealed = test.storage.statusOrNull(path)?.mode === 0o200;
        if (isSealed && options.access === "read") throw new OsError("open", path, "EACCES");
        return test.storage.open(path, options);
      },
      reach(point) {
        if (point !== "claim.1.before" || !other.control.holds(slotLock(last))) return;
        other.control.unlock(slotLock(last));
      },
      link(from, to) {
        taken.push(Number(to.slice(-10)));
        test.storage.link(from, to);
      },
    });
    await fold(test, storage);
    // Taken to learn its order, released, and taken in its turn.
    assertEquals(taken, [last, ...slotsInOrder]);
    assertEquals(counters(test, "ks"), ["k 6"]);
  });
});

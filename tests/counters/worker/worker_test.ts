/** Folds: each log once in each keyspace, whatever fails. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BusyError, CorruptError } from "../../../src/base/errors.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  DataDirectory,
  describeSelf,
  DirectoryFailedError,
  directoryLocks,
  HeldLog,
  slotLock,
} from "../../../src/counters/commitlog/mod.ts";
import { OsError, type Storage, systemStorage } from "../../../src/file/mod.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { overridden } from "../../support/overridden.ts";
import { runningAsRoot } from "../../support/ordinary_user.ts";
import {
  batchOf,
  claim,
  poolOn,
  takeSealed,
  type TestDirectory,
} from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { waitUntil } from "../../support/wait.ts";
import { pokeByte } from "../../support/held_bytes.ts";
import { counters, fold, pathOf, sealLog, withFolds } from "./folding.ts";

Deno.test("Counters are ordered by count and then by key, one row each", async () => {
  await withFolds(async (test) => {
    await sealLog(test, [["k", "c", 1n], ["k", "a", 10n], ["k", "b", 5n]]);
    await fold(test);
    assertEquals(counters(test, "k"), ["a 10", "b 5", "c 1"]);
    await sealLog(test, [["k", "b", 10n]]);
    await fold(test);
    assertEquals(counters(test, "k"), ["b 15", "a 10", "c 1"]);
    await sealLog(test, [["k", "b", -11n], ["k", "a", -7n]]);
    await fold(test);
    assertEquals(counters(test, "k"), ["b 4", "a 3", "c 1"]);
    await sealLog(test, [["k", "c", 2n], ["k", "b", -1n]]);
    await fold(test);
    await fold(test);
    assertEquals(counters(test, "k"), ["a 3", "b 3", "c 3"]);
  });
});

Deno.test("A counter whose sum is zero stays, and a count may be negative", async () => {
  await withFolds(async (test) => {
    await sealLog(test, [["k", "a", 5n], ["k", "a", -5n], ["n", "x", -3n]]);
    await fold(test);
    assertEquals(counters(test, "k"), ["a 0"]);
    assertEquals(counters(test, "n"), ["x -3"]);
  });
});

Deno.test("Counts are exact, and clamped to 64 bits", async () => {
  await withFolds(async (test) => {
    const most = 2n ** 63n - 1n;
    await sealLog(test, [["k", "exact", 9007199254740993n], ["k", "high", most], ["k", "x", 1n]]);
    await fold(test);
    await sealLog(test, [["k", "high", 1n], ["k", "low", -most], ["k", "x", 1n]]);
    await sealLog(test, [["k", "low", -5n]]);
    const events = await fold(test);
    assert(events.includes("counters clamped to 64 bits"));
    assertEquals(counters(test, "k"), [
      `high ${most}`,
      "exact 9007199254740993",
      "x 2",
      `low ${-(2n ** 63n)}`,
    ]);
  });
});

Deno.test("A log that its keyspaces have applied is recycled and not counted again", async () => {
  await withFolds(async (test) => {
    const slot = await sealLog(test, [["k", "a", 1n], ["l", "b", 2n]]);
    await fold(test);
    // As after a crash between Fold, steps 6 and 7, or a lost "free": the header says sealed again.
    const held = HeldLog.take(test.directory, slot);
    assert(held !== null);
    const header = held.header();
    assertEquals(header?.state, "free");
    held.store({ state: "sealed", length: 4096 + 72 + 24 + 24 + 24 + 24, durable: 4096 });
    held.release("sealed");
    await fold(test);
    assertEquals([counters(test, "k"), counters(test, "l")], [["a 1"], ["b 2"]]);
    assertEquals(test.storage.status(`${test.data}/logs/000000000${slot}`).mode, 0o400);
  });
});

Deno.test("After a fold that stopped between two keyspaces only the other one gets the log", async () => {
  await withFolds(async (test) => {
    for (let failing = 1; failing <= 12; failing++) {
      await sealLog(test, [["k", "a", 1n], ["l", "b", 1n]]);
      const faults = new Faults();
      faults.failAt("write", failing, "EINVAL");
      await fold(test, faultyStorage(systemStorage(), faults)).catch(() => {});
      await fold(test);
      assertEquals([counters(test, "k"), counters(test, "l")], [[`a ${failing}`], [
        `b ${failing}`,
      ]]);
    }
  });
});

Deno.test("A failed sync in a fold marks the directory; nothing is folded or recycled after", async () => {
  await withFolds(async (test) => {
    const slot = await sealLog(test, [["k", "a", 1n]]);
    const faults = new Faults();
    faults.failAt("sync", 2, "EIO"); // the first one is that of Fold, step 1
    await assertRejects(
      () => fold(test, faultyStorage(systemStorage(), faults)),
      DirectoryFailedError,
      "check --clear-failed",
    );
    await assertRejects(() => fold(test), DirectoryFailedError);
    assertEquals(counters(test, "k"), []);
    const held = HeldLog.take(test.directory, slot);
    assertEquals(held?.header()?.state, "sealed");
    held?.release("sealed");
  }, { checks: false });
});

Deno.test("A full disk makes folds smaller, and if not even one log fits, the exit says try again", async () => {
  await withFolds(async (test) => {
    for (let count = 0; count < 3; count++) {
      await sealLog(test, [["k", "a", 1n], ["k", `own ${count}`, 1n]]);
    }
    const faults = new Faults();
    const storage = faultyStorage(systemStorage(), faults);
    faults.failFrom("allocate", 1, "ENOSPC");
    await assertRejects(() => fold(test, storage), BusyError, "No space");
    assertEquals(counters(test, "k"), []);
    faults.heal();
    faults.failAt("allocate", 2, "ENOSPC"); // the pages of all three, but not those of one
    await fold(test, storage);
    assertEquals(counters(test, "k"), ["a 3", "own 0 1", "own 1 1", "own 2 1"]);
  });
});

Deno.test("A log that names hundreds of keyspaces is folded with few files open", async () => {
  await withFolds(async (test) => {
    const records = Array.from({ length: 600 }, (_, index) => [`ks${index}`, "k", 1n] as const);
    await sealLog(test, records);
    await sealLog(test, records);
    let open = 0;
    let most = 0;
    const storage = systemStorage();
    const countedOpen: Storage["open"] = (path, options) => {
      const file = storage.open(path, options);
      most = Math.max(most, ++open);
      const close = file.close.bind(file);
      file.close = () => {
        open--;
        close();
      };
      return file;
    };
    const counting = new Proxy(storage, {
      get(target, name) {
        if (name === "open") return countedOpen;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await fold(test, counting);
    assert(most < 350, `${most} files were open at once`);
    assertEquals(counters(test, "ks599"), ["k 2"]);
    assertEquals(test.storage.readDirectory(test.directory.paths.keyspaces).length, 600);
  });
});

Deno.test("A damaged keyspace is put in quarantine: its log stays, the others are folded", async () => {
  await withFolds(async (test) => {
    await sealLog(test, [["good", "a", 1n], ["bad", "b", 1n]]);
    await fold(test);
    const path = pathOf(test, "bad");
    using file = test.storage.open(path, { access: "write" });
    file.write(new Uint8Array(file.status().size).fill(0xff), 0);
    const slot = await sealLog(test, [["good", "a", 1n], ["bad", "b", 1n]]);
    await sealLog(test, [["good", "c", 7n]]);
    await assertRejects(() => fold(test), CorruptError, "in quarantine");
    assertEquals(counters(test, "good"), ["c 7", "a 2"]);
    await assertRejects(() => fold(test), CorruptError);
    assertEquals(counters(test, "good"), ["c 7", "a 2"]);
    const blocked = takeSealed(test.directory, slot);
    blocked.release();
  }, { checks: false });
});

Deno.test("A keyspace that is removed while it is opened is made anew, as one that was removed before", async () => {
  // Story: the file was there when its kind was asked and gone when it was opened. That ended the worker.
  await withFolds(async (test) => {
    await sealLog(test, [["k", "a", 7n]]);
    await fold(test);
    const path = pathOf(test, "k");
    let isRemoved = false;
    const storage = overridden(test.storage, {
      open(opened, options) {
        if (opened === path && !isRemoved) {
          isRemoved = true;
          Deno.removeSync(path);
        }
        return test.storage.open(opened, options);
      },
    });
    await sealLog(test, [["k", "a", 1n]]);
    await fold(test, storage);
    assert(isRemoved);
    assertEquals(counters(test, "k"), ["a 1"]);
  });
});

Deno.test("A log with damage in the middle is put in quarantine alone", async () => {
  await withFolds(async (test) => {
    const pool = poolOn(test.directory);
    await pool.prepare();
    const active = await claim(pool);
    active.append(batchOf([["k", "first", 1n]]));
    const middle = active.tail;
    active.append(batchOf([["k", "second", 1n]]));
    await active.seal({ sync: true });
    const held = HeldLog.take(test.directory, active.slot);
    assert(held !== null);
    pokeByte(held, middle + 40, 0xff);
    held.release("sealed");
    await sealLog(test, [["k", "other", 1n]]);
    await assertRejects(() => fold(test), CorruptError, "run countd check");
    assertEquals(counters(test, "k"), ["other 1"]);
  }, { checks: false });
});

Deno.test("There is one fold lease: a second worker stops waiting in time and names the holder", async () => {
  await withFolds(async (test) => {
    assert(test.directory.control.tryLock(directoryLocks.fold));
    const error = await assertRejects(() => fold(test), BusyError);
    assert(error.message.includes(`pid ${Deno.pid}`), error.message);
    test.directory.control.unlock(directoryLocks.fold);
    await fold(test);
  });
});

Deno.test("A sealed log that another process locks for a moment is waited for, not skipped", async () => {
  await withFolds(async (test) => {
    const slot = await sealLog(test, [["k", "a", 1n]]);
    const { control } = test.directory;
    assert(control.tryLock(slotLock(slot)));
    await assertRejects(() => fold(test), BusyError, `Sealed log ${slot} is held`);
    const folded = fold(test, systemStorage(), 60_000);
    await systemClock.sleep(50);
    control.unlock(slotLock(slot));
    await folded;
    assertEquals(counters(test, "k"), ["a 1"]);
  });
});

Deno.test("A lack of space for a name, of a log or a keyspace, is treated like one for pages", async () => {
  await withFolds(async (test) => {
    for (const kind of ["link", "rename"] as const) {
      await sealLog(test, [[kind, "a", 1n]]);
      const faults = new Faults();
      const storage = faultyStorage(systemStorage(), faults);
      faults.failFrom(kind, 1, "ENOSPC");
      await assertRejects(() => fold(test, storage), BusyError, "No space");
      faults.heal();
      await fold(test, storage);
      assertEquals(counters(test, kind), ["a 1"]);
    }
  });
});

Deno.test("The log of a living writer is left to it", async () => {
  await withFolds(async (test) => {
    const writing = test.open();
    const pool = poolOn(writing);
    await pool.prepare();
    const active = await claim(pool);
    active.append(batchOf([["k", "a", 1n]]));
    await fold(test);
    assertEquals(counters(test, "k"), []);
    await active.seal({ sync: true });
    await fold(test);
    assertEquals(counters(test, "k"), ["a 1"]);
  });
});

Deno.test("A worker that rests returns the space of older versions to the system", async () => {
  await withFolds(async (test) => {
    // Folds of many keys of one keyspace write it again each time.
    const records = Array.from({ length: 200 }, (_, at) => ["k", `${at}`.padEnd(250), 1n] as const);
    for (let round = 0; round < 12; round++) {
      await sealLog(test, records);
      await fold(test);
    }
    const path = pathOf(test, "k");
    const before = test.storage.status(path).allocatedBytes;
    using directory = test.open();
    const worker = new Worker(directory, {
      clock: systemClock,
      events: { report: () => {} },
      metrics: new Metrics(),
    });
    const stop = new AbortController();
    const running = worker.run(stop.signal);
    await sealLog(test, [["k", "last", 1n]]);
    await waitUntil("less space", () => test.storage.status(path).allocatedBytes < before);
    stop.abort();
    await running;
    assertEquals(counters(test, "k").length, 201);
  });
});

Deno.test("An idle worker holds no log", async () => {
  await withFolds(async (test) => {
    await sealLog(test, [["k", "a", 1n]]);
    using directory = DataDirectory.open(test.storage, test.data, {
      self: describeSelf(test.storage),
    });
    const environment = {
      clock: systemClock,
      events: { report: () => {} },
      metrics: new Metrics(),
    };
    const stop = new AbortController();
    const running = new Worker(directory, environment).run(stop.signal);
    while (counters(test, "k").length === 0) await systemClock.sleep(5);
    await systemClock.sleep(50);
    for (const name of test.storage.readDirectory(`${test.data}/logs`)) {
      assertEquals([name, test.storage.status(`${test.data}/logs/${name}`).mode], [name, 0o400]);
    }
    stop.abort();
    await running;
  });
});

Deno.test("More logs than a process may open are folded a few at a time", async () => {
  await withFolds(async (test) => {
    for (let count = 0; count < 4; count++) await sealLog(test, [["ks", "k", 1n]]);
    // No more than three logs open at once.
    let open = 0;
    let refused = 0;
    const inner = faultyStorage(systemStorage(), new Faults());
    const storage: Storage = {
      ...inner,
      open(path, options) {
        const isLog = path.includes("/logs/lock-");
        if (isLog && open === 3) {
          refused++;
          throw new OsError("open", path, "EMFILE");
        }
        const file = inner.open(path, options);
        if (!isLog) return file;
        open++;
        const { close } = file;
        return Object.assign(file, { close: () => (open--, close()) });
      },
    };
    await fold(test, storage);
    assert(refused > 0, "the limit was met");
    assertEquals(open, 0);
    assertEquals(counters(test, "ks"), ["k 4"]);
  });
});

Deno.test("A log that cannot be released does not hold up the others of its fold", async () => {
  // Story: the second of three logs was folded, and its lock name could not be removed. The third one stayed
  // locked as long as the worker lived: neither writers nor this worker could use it.
  const modes = ({ storage, data }: TestDirectory) =>
    storage.readDirectory(`${data}/logs`).sort().map((name) =>
      `${name} ${storage.status(`${data}/logs/${name}`).mode.toString(8)}`
    );
  const allFree = Array.from({ length: 4 }, (_, slot) => `000000000${slot} 400`);
  await withFolds(async (test) => {
    const cases: readonly ((faults: Faults) => void)[] = [
      // While they are recycled.
      (faults) => faults.failAt("unlink", 2, "ENOSPC"),
      // While they are released after an error: all four are labelled when they are taken, the free one once
      // more, and then the first that is released. Only root reads a sealed log without a change of its mode.
      (faults) => {
        faults.failAt("allocate", 1, "ENOSPC");
        faults.failAt("chmod", runningAsRoot() ? 6 : 12, "EIO");
      },
    ];
    for (const [index, fails] of cases.entries()) {
      const keyspace = `k${index}`;
      for (let count = 0; count < 3; count++) await sealLog(test, [[keyspace, "a", 1n]]);
      const faults = new Faults();
      fails(faults);
      await fold(test, faultyStorage(systemStorage(), faults));
      assertEquals(faults.failed, index + 1, "all faults were met");
      assertEquals(counters(test, keyspace), ["a 3"]);
      assertEquals(modes(test), allFree);
    }
  });
});

/** Folds of many keyspaces: what each costs, how many a fold takes, and how it stops. */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { DataDirectory, describeSelf, SealedLog } from "../../../src/counters/commitlog/mod.ts";
import {
  Aggregator,
  DEFAULT_AGGREGATOR_LIMITS,
  listKeyspaces,
} from "../../../src/counters/keyspace/mod.ts";
import { Fold } from "../../../src/counters/worker/fold.ts";
import { KeyspaceWriters } from "../../../src/counters/worker/keyspace_writers.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { Quarantine } from "../../../src/counters/worker/quarantine.ts";
import type { Storage } from "../../../src/file/mod.ts";
import type { TestDirectory } from "../../support/data_directory.ts";
import { overridden } from "../../support/overridden.ts";
import {
  counters,
  fold,
  foldAndSealAgain,
  pathOf,
  type Records,
  sealLog,
  withFolds,
} from "./folding.ts";

const KEYSPACES = 400;
/** Keyspaces of a frame, so that a log has many. */
const FRAME_KEYSPACES = 100;

const names = Array.from({ length: KEYSPACES }, (_, number) => `keyspace-${number}`);

/** Seals a log with an increment of one counter of each keyspace. Returns its slot. */
async function sealOneOfEach(test: TestDirectory): Promise<number> {
  const batches: Records[] = [];
  for (let from = 0; from < names.length; from += FRAME_KEYSPACES) {
    const some = names.slice(from, from + FRAME_KEYSPACES);
    batches.push(some.map((name) => [name, "only", 1n] as const));
  }
  return await sealLog(test, ...batches);
}

function assertAll(test: TestDirectory, count: number): void {
  for (const name of names) assertEquals(counters(test, name), [`only ${count}`], name);
}

/** Counts the syncs of a storage, by what is synced. */
function countingSyncs(inner: Storage) {
  const syncs = { keyspaces: 0, fileSystem: 0, directory: 0 };
  const storage = overridden(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      if (!path.includes("/keyspaces/")) return file;
      const count = (sync: () => void) => {
        syncs.keyspaces++;
        sync();
      };
      return overridden(file, {
        sync: () => count(() => file.sync()),
        syncData: () => count(() => file.syncData()),
      });
    },
    openFileSystem(path) {
      const fileSystem = inner.openFileSystem(path);
      return overridden(fileSystem, {
        sync() {
          syncs.fileSystem++;
          fileSystem.sync();
        },
      });
    },
    syncDirectory(path) {
      if (path.endsWith("/keyspaces")) syncs.directory++;
      inner.syncDirectory(path);
    },
  });
  return { syncs, storage };
}

Deno.test("Many keyspaces share their syncs, and each of one counter takes 8 KiB of disk at most", async () => {
  // Story: each new keyspace had a sync of its own, although its group was synced: 10,000 took 72 s.
  await withFolds(async (test) => {
    for (let round = 1; round <= 4; round++) {
      await sealOneOfEach(test);
      const { syncs, storage } = countingSyncs(test.storage);
      await fold(test, storage);
      assertEquals(syncs.keyspaces, 0, `round ${round}`);
      // Two for a group, which is small while the disk is slow, and those of the lease.
      const shared = syncs.fileSystem + syncs.directory;
      assert(shared <= 2 * KEYSPACES / 32 + 4, `round ${round}: ${JSON.stringify(syncs)}`);
      for (const name of names) {
        const { size, blocks } = Deno.statSync(pathOf(test, name));
        assert(size <= 8192 && blocks! * 512 <= 8192, `${name}: ${size} bytes, ${blocks} blocks`);
      }
    }
    assertAll(test, 4);
  });
});

Deno.test("The applied generations of a keyspace are read once in a fold, however many logs name it", async () => {
  await withFolds(async (test) => {
    await sealOneOfEach(test);
    await fold(test);
    for (let log = 0; log < 3; log++) await sealOneOfEach(test);
    let opened = 0;
    const storage = overridden(test.storage, {
      open(path, options) {
        if (path.includes("/keyspaces/")) opened++;
        return test.storage.open(path, options);
      },
    });
    await fold(test, storage);
    // Once for the generations and once for the counters.
    assert(opened <= 2 * KEYSPACES, `${opened} files opened`);
    assertAll(test, 4);
  });
});

Deno.test("Logs that name more keyspaces than a fold takes are folded in parts, each counter once", async () => {
  // Story: 4,194,304 keyspaces in one fold failed an assertion, and the restarted worker failed it again.
  await withFolds(async (test) => {
    for (let round = 0; round < 2; round++) await sealOneOfEach(test);
    using directory = DataDirectory.open(test.storage, test.data, {
      self: describeSelf(test.storage),
    });
    const metrics = new Metrics();
    const folds: number[] = [];
    const environment = {
      clock: jumpingClock(() => {}),
      events: {
        report: (_level: string, event: string, fields?: object) => {
          if (event === "folded") folds.push((fields as { keyspaces: number }).keyspaces);
        },
      },
      metrics,
    };
    const limits = { ...DEFAULT_AGGREGATOR_LIMITS, keyspacesMax: 90 };
    const worker = new Worker(directory, environment, limits);
    await worker.runOnce({ signal: new AbortController().signal, lockTimeoutMs: 60_000 });
    assert(folds.length >= 5 && folds.every((keyspaces) => keyspaces <= 90), `${folds}`);
    assertAll(test, 2);
  });
});

/** Time passes with each look at it, so that everything that may pause does; `onPause` is called then. */
function jumpingClock(onPause: () => void): Clock {
  let nowMs = 0;
  return {
    nowMs: () => nowMs += 100,
    wallMs: () => nowMs,
    sleep: () => {
      onPause();
      return Promise.resolve();
    },
  };
}

/** Folds until the pause of that number, if there are as many. Returns the number of pauses. */
async function foldUntilPause(test: TestDirectory, last: number): Promise<number> {
  using directory = DataDirectory.open(test.storage, test.data, {
    self: describeSelf(test.storage),
  });
  const stop = new AbortController();
  let pauses = 0;
  const clock = jumpingClock(() => {
    if (++pauses === last) stop.abort();
  });
  const worker = new Worker(directory, { clock, events: noEvents, metrics: new Metrics() });
  await worker.runOnce({ signal: stop.signal, lockTimeoutMs: 60_000 });
  return pauses;
}

Deno.test("A fold of many keyspaces that is stopped leaves each as before or as after it, and the next one goes on", async () => {
  await withFolds(async (test) => {
    const halves: number[] = [];
    let rounds = 0;
    for (let last = 1;; last++) {
      await sealOneOfEach(test);
      const pauses = await foldUntilPause(test, last);
      rounds++;
      const found = names.filter((name) => counters(test, name)[0] === `only ${rounds}`).length;
      const before = names.filter((name) =>
        (counters(test, name)[0] ?? "only 0") === `only ${rounds - 1}`
      ).length;
      assertEquals(found + before, KEYSPACES);
      if (found > 0 && before > 0) halves.push(found);
      assert(
        listKeyspaces(test.storage, test.directory.paths.keyspaces).length >= found,
        "the others are there",
      );
      await fold(test);
      assertAll(test, rounds);
      if (pauses < last) break;
    }
    assert(halves.length > 0, `stopped in the middle at ${halves}`);
  });
});

Deno.test("A keyspace that is deferred in the middle of a full group closes none of the others", async () => {
  // Story: its file stayed open among those of the group. So the first file of the group, with pages that were
  // not published yet, was closed to bound the number of open files.
  await withFolds(async (test) => {
    await sealOneOfEach(test);
    await fold(test);
    const before = names.map((name) => Deno.readFileSync(pathOf(test, name)));
    const slot = await sealOneOfEach(test);
    await foldAndSealAgain(test, slot);
    const path = pathOf(test, names[1]!);
    const folded = Deno.readFileSync(path);
    names.forEach((name, number) => Deno.writeFileSync(pathOf(test, name), before[number]!));

    const taken = SealedLog.take(test.directory, slot);
    assert(taken.kind === "sealed", taken.kind);
    const writers = new KeyspaceWriters(test.storage, test.directory.paths.keyspaces);
    const aside = new Quarantine(systemClock, noEvents);
    const one = new Fold(test.directory, writers, new Aggregator(), aside);
    one.add(taken.log);
    Deno.writeFileSync(`${test.data}/folded`, folded);
    Deno.renameSync(`${test.data}/folded`, path);
    const { recycled, deferred } = one.applyAndRecycle();
    writers.close();
    assertEquals([recycled, deferred], [0, 1]);
    assertAll(test, 2);
    await fold(test);
    assertAll(test, 2);
  });
});

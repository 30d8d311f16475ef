/** What is in quarantine: nothing of it is lost, and nothing else waits for it. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CorruptError, FailedError } from "../../../src/base/errors.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { type Events, noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { HeldLog, SealedLog } from "../../../src/counters/commitlog/mod.ts";
import { OsError, systemStorage } from "../../../src/file/mod.ts";
import { Aggregator } from "../../../src/counters/keyspace/mod.ts";
import { Fold, LogUnusableError } from "../../../src/counters/worker/fold.ts";
import { KeyspaceWriters } from "../../../src/counters/worker/keyspace_writers.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { Quarantine } from "../../../src/counters/worker/quarantine.ts";
import { clockAt } from "../../support/fixed_clock.ts";
import { ofNewerFormat } from "../../support/other_format.ts";
import { overridden } from "../../support/overridden.ts";
import type { TestDirectory } from "../../support/data_directory.ts";
import { waitUntil } from "../../support/wait.ts";
import { counters, fold, foldAndSealAgain, pathOf, sealLog, withFolds } from "./folding.ts";

const pageSize = 8192;
/** Behind the meta blocks of a file with such pages. */
const firstPageOffset = 16_384;
/** Behind those of a small keyspace. */
const smallFirstPageOffset = 2048;
const kindOffset = 16;
const keyLeafKind = 1;
const keyBranchKind = 3;

/** Long keys, so that a few of them fill a leaf; each ends with its own number. */
const longKeys = Array.from({ length: 120 }, (_, at) => {
  const number = `${at}`.padStart(3, "0");
  return `${number.padEnd(200, "x")}${number}`;
});

/** Damages a byte of each page that `isHit`; returns a function that restores only these bytes. */
function damagePages(path: string, isHit: (page: Uint8Array) => boolean): () => void {
  const whole = Deno.readFileSync(path);
  const hits: number[] = [];
  for (let offset = firstPageOffset; offset < whole.length; offset += pageSize) {
    if (isHit(whole.subarray(offset, offset + pageSize))) hits.push(offset + 100);
  }
  assert(hits.length > 0, "a page is hit");
  const poke = (mask: number) => {
    using file = Deno.openSync(path, { write: true });
    for (const offset of hits) {
      file.seekSync(offset, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array([whole[offset]! ^ mask]));
    }
  };
  poke(1);
  return () => poke(0);
}

function isKeyLeafWith(key: string): (page: Uint8Array) => boolean {
  const decoder = new TextDecoder("latin1");
  return (page) => page[kindOffset] === keyLeafKind && decoder.decode(page).includes(key);
}

Deno.test("A keyspace that a fold has left out once is left out to the end of that fold", async () => {
  // Story: a leaf was damaged, so the keyspace was in quarantine for 30 s. They ended while a fold read a log:
  // the records of the first frame were left out, those of the second were taken, and the keyspace was
  // published with the generation of the whole log. The next fold left out the log as applied: the increments
  // of its first frame were lost for good.
  await withFolds(async (test) => {
    const clock = clockAt(0);
    const aside = new Quarantine(clock, noEvents);
    const writers = new KeyspaceWriters(test.storage, test.directory.paths.keyspaces);
    /** Folds one log; calls `between` after its first frame (Fold, step 2). Returns the number of recycled logs. */
    const foldLog = (slot: number, between = () => {}): number => {
      const taken = SealedLog.take(test.directory, slot);
      assert(taken.kind === "sealed", taken.kind);
      const { log } = taken;
      const one = new Fold(test.directory, writers, new Aggregator(), aside);
      let frames = 0;
      one.add(overridden(log, {
        eachBatch: (visit) =>
          log.eachBatch((bytes, start, end, offset) => {
            visit(bytes, start, end, offset);
            if (++frames === 1) between();
          }),
      }));
      return one.applyAndRecycle().recycled;
    };
    await sealLog(test, longKeys.map((key) => ["k", key, 1n] as const));
    await fold(test);
    const mend = damagePages(pathOf(test, "k"), isKeyLeafWith("x119"));
    const blocked = await sealLog(test, [["k", longKeys[119]!, 1n]]);
    assertEquals(foldLog(blocked), 0);

    // Another log is folded just before the 30 s end; they end between its two frames.
    clock.advance(29_999);
    const slot = await sealLog(test, [["k", longKeys[0]!, 10n]], [["k", longKeys[1]!, 10n]]);
    assertEquals(foldLog(slot, () => clock.advance(2)), 0, "the log is released");
    clock.advance(60_000);
    assertEquals(foldLog(slot), 1, "its leaf is good");
    mend();
    writers.close();
    assertEquals(foldLog(blocked), 1);
    writers.close();
    assertEquals(counters(test, "k").slice(0, 3), [
      `${longKeys[0]} 11`,
      `${longKeys[1]} 11`,
      `${longKeys[119]} 2`,
    ]);
  });
});

Deno.test("A log of which a fold could read only a part is in quarantine, and the fold is given up", async () => {
  // Story: only damage gave up the fold. If the system refused a read, as it may on a network disk, the records
  // before it stayed in the sums, the log counted as folded, and its other increments were lost for good.
  await withFolds(async (test) => {
    const slot = await sealLog(test, [["k", "a", 1n]], [["k", "b", 1n]]);
    const taken = SealedLog.take(test.directory, slot);
    assert(taken.kind === "sealed", taken.kind);
    const { log } = taken;
    const aside = new Quarantine(systemClock, noEvents);
    const writers = new KeyspaceWriters(test.storage, test.directory.paths.keyspaces);
    const one = new Fold(test.directory, writers, new Aggregator(), aside);
    const cutOff = overridden(log, {
      eachBatch(visit) {
        log.eachBatch(visit).next();
        throw new OsError("read", log.held.path, "EACCES");
      },
    });
    assertThrows(() => one.add(cutOff), LogUnusableError, "(EACCES)");
    assert(aside.hasLog(slot));
    one.releaseLogs();
    writers.close();
    assertEquals(counters(test, "k"), []);
    await fold(test);
    assertEquals(counters(test, "k"), ["a 1", "b 1"]);
  });
});

Deno.test("A keyspace that the disk cannot read is put in quarantine, and the others are folded", async () => {
  // Story: one bad sector under a page (EIO) ended the worker, and each worker after it. No keyspace was folded
  // any more, until the backlog was full and the writers stopped.
  await withFolds(async (test) => {
    await sealLog(test, [["bad", "a", 1n], ["good", "a", 1n]]);
    await fold(test);
    const inner = systemStorage();
    const bad = pathOf(test, "bad");
    for (const unreadable of [smallFirstPageOffset, 0]) {
      const storage = overridden(inner, {
        open: (path, options) => {
          const file = inner.open(path, options);
          return path !== bad ? file : overridden(file, {
            read: (into, offset) => {
              if (offset >= unreadable) throw new OsError("read", path, "EIO");
              return file.read(into, offset);
            },
          });
        },
      });
      await sealLog(test, [["bad", "a", 1n], ["good", "a", 1n]]);
      for (let worker = 0; worker < 2; worker++) {
        await sealLog(test, [["good", "a", 1n]]);
        await assertRejects(() => fold(test, storage), CorruptError, "in quarantine");
      }
    }
    assertEquals([counters(test, "bad"), counters(test, "good")], [["a 1"], ["a 7"]]);
    await fold(test);
    assertEquals([counters(test, "bad"), counters(test, "good")], [["a 3"], ["a 7"]]);
  });
});

Deno.test("A worker that finds a damaged branch while it rests puts the keyspace in quarantine", async () => {
  // Story: the keyspace had applied the log, so only its meta blocks were read. When the worker rested it read
  // the branches to return free pages, and ended because of the damage.
  await withFolds(async (test) => {
    const slot = await sealLog(test, longKeys.map((key) => ["k", key, 1n] as const));
    await foldAndSealAgain(test, slot);
    const mend = damagePages(pathOf(test, "k"), (page) => page[kindOffset] === keyBranchKind);
    const names: string[] = [];
    const events: Events = { report: (_level, event) => names.push(event) };
    const environment = { clock: systemClock, events, metrics: new Metrics() };
    const stop = new AbortController();
    const running = new Worker(test.open(), environment).run(stop.signal);
    await Promise.race([
      running,
      waitUntil("the keyspace to be in quarantine", () => names.includes("keyspace quarantined")),
    ]);
    await sealLog(test, [["other", "a", 1n]]);
    await waitUntil("the others to be folded", () => counters(test, "other").length > 0);
    stop.abort();
    await running;
    mend();
    await sealLog(test, [["k", longKeys[0]!, 1n]]);
    await fold(test);
    assertEquals(counters(test, "k")[0], `${longKeys[0]} 2`);
  });
});

for (const next of ["is written", "has nothing to write"] as const) {
  Deno.test(`A keyspace that is mended, ${next}, and is damaged again is reported again`, async () => {
    // Story: what was in quarantine once was remembered for ever, so later damage was never reported. The warning
    // of the first damage stayed for a minute after it was mended.
    await withFolds(async (test) => {
      const reports: string[] = [];
      const events: Events = { report: (_level, event) => reports.push(event) };
      const clock = clockAt(0);
      const aside = new Quarantine(clock, events);
      const writers = new KeyspaceWriters(test.storage, test.directory.paths.keyspaces);
      const foldLog = (slot: number): number => {
        clock.advance(30_000);
        const taken = SealedLog.take(test.directory, slot);
        assert(taken.kind === "sealed", taken.kind);
        const one = new Fold(test.directory, writers, new Aggregator(), aside);
        one.add(taken.log);
        const { recycled } = one.applyAndRecycle();
        writers.dropAll();
        return recycled;
      };
      await sealLog(test, [["k", "a", 1n]]);
      await fold(test);
      const path = pathOf(test, "k");
      let whole = Deno.readFileSync(path);
      for (const times of [1, 2]) {
        const slot = await sealLog(test, [["k", "a", 1n]]);
        if (next !== "is written") {
          // As if another worker had published it, and had ended before the log was recycled.
          const { length, durable, records } = headerOf(test, slot);
          assertEquals(foldLog(slot), 1);
          whole = Deno.readFileSync(path);
          const free = HeldLog.take(test.directory, slot)!;
          free.store({ state: "sealed", length, durable, records });
          free.release("sealed");
        }
        Deno.writeFileSync(path, new Uint8Array(whole.length));
        for (let tries = 0; tries < 2; tries++) assertEquals(foldLog(slot), 0);
        assertEquals(reports.filter((event) => event === "keyspace quarantined").length, times);
        assertEquals(aside.warnings().length, 1);
        Deno.writeFileSync(path, whole);
        assertEquals(foldLog(slot), 1);
        assertEquals(aside.warnings(), []);
        whole = Deno.readFileSync(path);
      }
      writers.close();
      assertEquals(counters(test, "k"), ["a 3"]);
    });
  });
}

function headerOf(test: TestDirectory, slot: number) {
  const sealed = HeldLog.take(test.directory, slot)!;
  const header = sealed.header()!;
  sealed.release("sealed");
  return header;
}

Deno.test("A log that waits for a keyspace and is then found damaged is reported as damaged", () => {
  const reports: string[] = [];
  const events: Events = { report: (_level, event) => reports.push(event) };
  const aside = new Quarantine(clockAt(0), events);
  const damage = (offset: number) =>
    new CorruptError(`logs/3 is damaged at byte ${offset}`, { path: "logs/3", offset });
  for (let tries = 0; tries < 2; tries++) aside.addBlockedLog(3);
  for (let tries = 0; tries < 2; tries++) aside.addLog(3, damage(4096));
  aside.addLog(3, damage(8192));
  assertEquals(reports, [
    "log waits for a keyspace in quarantine",
    "log quarantined",
    "log quarantined",
  ]);
  assertEquals(aside.warnings(), ["log 3 is in quarantine: logs/3 is damaged at byte 8192"]);
});

Deno.test("A log that a removed file had applied is folded into the new file of its keyspace", async () => {
  // Story: a log waited for a keyspace in quarantine. Another keyspace of it had applied it, and its file was
  // removed. When the quarantine ended, the fold believed the generations of the removed file, which it still
  // had open, and recycled the log: what readers had already shown again was gone, and `check` was clean.
  await withFolds(async (test) => {
    const clock = clockAt(0);
    const aside = new Quarantine(clock, noEvents);
    const writers = new KeyspaceWriters(test.storage, test.directory.paths.keyspaces);
    const foldLog = (slot: number): number => {
      const taken = SealedLog.take(test.directory, slot);
      assert(taken.kind === "sealed", taken.kind);
      const one = new Fold(test.directory, writers, new Aggregator(), aside);
      one.add(taken.log);
      return one.applyAndRecycle().recycled;
    };
    await sealLog(test, [["a", "x", 5n], ["b", "y", 1n]]);
    await fold(test);
    const slot = await sealLog(test, [["a", "x", 3n], ["b", "y", 1n]]);
    const whole = Deno.readFileSync(pathOf(test, "b"));
    Deno.writeFileSync(pathOf(test, "b"), new Uint8Array(whole.length));
    assertEquals(foldLog(slot), 0, "the log waits for b");
    assertEquals(counters(test, "a"), ["x 8"]);

    Deno.removeSync(pathOf(test, "a"));
    Deno.writeFileSync(pathOf(test, "b"), whole);
    clock.advance(60_000);
    while (foldLog(slot) === 0) clock.advance(60_000);
    writers.close();
    assertEquals(counters(test, "a"), ["x 3"]);
    assertEquals(counters(test, "b"), ["y 2"]);
  });
});

Deno.test("A keyspace of a newer format is left alone with its logs, the others are folded, nothing is lost", async () => {
  await withFolds(async (test) => {
    await sealLog(test, [["newer", "a", 1n], ["other", "a", 1n]]);
    await fold(test);
    const path = pathOf(test, "newer");
    const whole = Deno.readFileSync(path);
    let expected = 1n;
    for (const what of ["version", "feature"] as const) {
      const newer = ofNewerFormat(whole, what);
      Deno.writeFileSync(path, newer);
      await sealLog(test, [["newer", "a", 10n], ["other", "a", 1n]]);
      await sealLog(test, [["other", "a", 1n]]);
      const { message } = await assertRejects(() => fold(test), FailedError, "use a newer countd");
      assert(message.includes(path) && !message.includes("repair"), message);
      expected += 2n;
      assertEquals(counters(test, "other"), [`a ${expected}`]);
      assertEquals(Deno.readFileSync(path), newer);
    }
    Deno.writeFileSync(path, whole);
    await fold(test);
    assertEquals([counters(test, "newer"), counters(test, "other")], [["a 21"], ["a 5"]]);
  });
});

Deno.test("A worker that has a keyspace open notices that a newer countd has written it, and says so once", async () => {
  await withFolds(async (test) => {
    const reports: [string, string][] = [];
    const events: Events = { report: (level, event) => reports.push([level, event]) };
    const aside = new Quarantine(clockAt(0), events);
    const writers = new KeyspaceWriters(test.storage, test.directory.paths.keyspaces);
    const foldLog = (slot: number): number => {
      const taken = SealedLog.take(test.directory, slot);
      assert(taken.kind === "sealed", taken.kind);
      const one = new Fold(test.directory, writers, new Aggregator(), aside);
      one.add(taken.log);
      return one.applyAndRecycle().recycled;
    };
    assertEquals(foldLog(await sealLog(test, [["k", "a", 1n]])), 1);
    const path = pathOf(test, "k");
    const whole = Deno.readFileSync(path);
    Deno.writeFileSync(path, ofNewerFormat(whole, "feature"));
    const slot = await sealLog(test, [["k", "a", 1n]]);
    for (let tries = 0; tries < 2; tries++) assertEquals(foldLog(slot), 0);
    const own = reports.filter(([, event]) => event.includes("format"));
    assertEquals(own, [["error", "keyspace of another format is left alone"]]);
    assert(!reports.some(([, event]) => event === "keyspace quarantined"));
    assert(
      aside.warnings().some((each) => each.startsWith("keyspace k is left alone: Keyspace file")),
    );
    writers.close();
    Deno.writeFileSync(path, whole);
    await fold(test);
    assertEquals(counters(test, "k"), ["a 2"]);
  });
});

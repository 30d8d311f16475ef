/** When a writer syncs, seals and waits, and when it must end. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { BusyError } from "../../../src/base/errors.ts";
import { type Events, noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  DataDirectory,
  describeSelf,
  DirectoryFailedError,
  directoryLocks,
} from "../../../src/counters/commitlog/mod.ts";
import { OsError, type Storage, systemStorage } from "../../../src/file/mod.ts";
import { LogWriter } from "../../../src/counters/write/mod.ts";
import {
  batchOf,
  poolOn,
  recordsOf,
  smallLogSize,
  takeSealed,
  type TestDirectory,
  withDataDirectory,
} from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { waitUntil } from "../../support/wait.ts";
import { append, serverOptions, syncsBefore } from "./support.ts";

const one = batchOf([["ks", "k", 1n]]);
/** Some 40 KiB: two of them do not fit into a small log. */
const large = batchOf(
  Array.from({ length: 150 }, (_, index) => ["ks", `${index}`.padEnd(256, "x"), 1n] as const),
);

/** A writer whose disk fails when `faults` says so. */
async function startFaulty(
  test: TestDirectory,
  options: Partial<typeof serverOptions> = {},
): Promise<{ writer: LogWriter; faults: Faults; events: string[]; close: () => void }> {
  const faults = new Faults();
  const storage = faultyStorage(systemStorage(), faults);
  const directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
  const events: string[] = [];
  const reporter: Events = { report: (_level, event) => events.push(event) };
  const writer = await LogWriter.start(directory, { ...serverOptions, ...options }, {
    clock: systemClock,
    events: reporter,
    metrics: new Metrics(),
  });
  return { writer, faults, events, close: () => directory.close() };
}

Deno.test("An answer waits for its sync, and one sync serves all that wait", async () => {
  await withDataDirectory(async (test) => {
    const { writer, faults, close } = await startFaulty(test);
    await append(writer, one);
    assert(writer.durablePosition < writer.position);
    const before = await syncsBefore(faults);
    await Promise.all(Array.from({ length: 50 }, () => writer.whenDurable(writer.position)));
    assertEquals(writer.durablePosition, writer.position);
    assertEquals(faults.count("sync"), before + 1);
    await writer.stop();
    close();
  });
});

Deno.test("With sync os nothing waits and nothing is synced but the claim", async () => {
  await withDataDirectory(async (test) => {
    const { writer, faults, close } = await startFaulty(test, { sync: "os" });
    const before = await syncsBefore(faults);
    await append(writer, one);
    await writer.whenDurable(writer.position);
    await writer.stop();
    assertEquals(faults.count("sync"), before);
    close();
  });
});

Deno.test("With sync interval everything is on disk after the interval, also if no answer waits", async () => {
  await withDataDirectory(async (test) => {
    const { writer, close } = await startFaulty(test, { syncIntervalMs: 20 });
    await append(writer, one);
    await waitUntil("the timer's sync", () => writer.durablePosition === writer.position);
    await writer.stop();
    close();
  });
});

Deno.test("A sync that fails ends all answers, marks the directory, and is never tried again", async () => {
  await withDataDirectory(async (test) => {
    const { writer, faults, events, close } = await startFaulty(test);
    await waitUntil("the spare", () => faults.count("sync") >= 4);
    await append(writer, one);
    faults.failAt("sync", 1, "EIO");
    await assertRejects(() => writer.whenDurable(writer.position), DirectoryFailedError);
    await assertRejects(() => writer.failed, DirectoryFailedError, "check --clear-failed");
    assertThrows(() => writer.append(one), DirectoryFailedError);
    await assertRejects(() => writer.whenDurable(1), DirectoryFailedError);
    assert(events.some((event) => event.startsWith("disk failed")), events.join());
    await assertRejects(() => writer.stop(), DirectoryFailedError);
    close();
    assert(test.directory.failedMark() !== null);
    await assertRejects(() => startFaulty(test), DirectoryFailedError);
  }, { checks: false });
});

Deno.test("A full disk stops appending, says so once, loses nothing, and goes on by itself", async () => {
  await withDataDirectory(async (test) => {
    const { writer, faults, events, close } = await startFaulty(test, { logs: 2 });
    // Both logs of the pool are claimed; the third cannot be made.
    await waitUntil("the spare", () => faults.count("link") >= 4);
    faults.failFrom("allocate", 1, "ENOSPC");
    for (let count = 0; count < 2; count++) await append(writer, large);
    const third = append(writer, large);
    await waitUntil("the event", () => events.some((event) => event.startsWith("disk full")));
    const before = writer.position;
    await systemClock.sleep(150);
    assertEquals(writer.position, before);
    faults.heal();
    await third;
    await writer.whenDurable(writer.position);
    assertEquals(events.filter((event) => event.startsWith("disk full")).length, 1);
    assert(events.includes("writing goes on"));
    await writer.stop();
    close();
    let records = 0;
    for (let slot = 0; slot < 3; slot++) {
      const log = takeSealed(test.directory, slot);
      records += recordsOf(log).length;
      log.release();
    }
    assertEquals(records, 450);
  });
});

// Story: a log that another program had a lease of (EAGAIN), or that the system had in use (EBUSY), ended the writer
// with "try again", and all of its connections with it.
for (
  const [code, event] of [
    ["EMFILE", "out of descriptors or memory"],
    ["EAGAIN", "a log is in use by the system"],
    ["EBUSY", "a log is in use by the system"],
  ] as const
) {
  Deno.test(`A log that cannot be opened for now (${code}) makes a writer wait, not fail`, async () => {
    await withDataDirectory(async (test) => {
      const { writer, faults, events, close } = await startFaulty(test, { logs: 2 });
      await waitUntil("the spare", () => faults.count("link") >= 4);
      faults.failFrom("open", 1, code);
      for (let count = 0; count < 2; count++) await append(writer, large);
      const third = append(writer, large);
      await waitUntil("the event", () => events.some((each) => each.startsWith(event)));
      faults.heal();
      await third;
      await writer.stop();
      close();
    });
  });
}

Deno.test("A frame or a tail that the system does not take for now is written later, once", async () => {
  await withDataDirectory(async (test) => {
    const { writer, faults, events, close } = await startFaulty(test, { logs: 2 });
    await waitUntil("the spare", () => faults.count("link") >= 4);
    for (const nth of [1, 2]) {
      const before = faults.failed;
      faults.failFrom("write", nth, "EBUSY");
      const appended = append(writer, one);
      await waitUntil("a few attempts", () => faults.failed >= before + 3);
      faults.heal();
      await appended;
      await writer.whenDurable(writer.position);
      await waitUntil(
        "the end",
        () => events.filter((each) => each === "writing goes on").length === nth,
      );
    }
    await writer.stop();
    close();
    const log = takeSealed(test.directory, 0);
    assertEquals(recordsOf(log), ["ks k 1", "ks k 1"]);
    log.release();
  });
});

// Story: a worker waited and a log grew old, so the writer's timer checked whether another log was free. That
// opens a directory. Without a descriptor for it the error came out of the timer, and ended the process in
// the middle of its answers. The end of all input made the same check.
Deno.test("A check of the pool that finds no descriptor is repeated, and any other error ends it", async () => {
  await withDataDirectory(async (test) => {
    const { writer, faults, close } = await startFaulty(test, { sealAfterMs: 30 });
    const mode = () => test.storage.status(`${test.data}/logs/0000000000`).mode;
    assert(test.directory.control.tryLock(directoryLocks.fold));
    await waitUntil("the claim of a spare", () => faults.count("link") >= 6);
    faults.failFrom("read directory", 1, "EMFILE");
    for (let count = 0; count < 2; count++) await append(writer, large);
    await waitUntil("checks by the timer", () => faults.failed > 2);
    const before = faults.failed;
    writer.inputEnded();
    assertEquals(faults.failed, before + 1);
    faults.heal();
    await waitUntil("the sealed log", () => mode() === 0o200);
    faults.failFrom("read directory", 1, "EIO");
    await append(writer, one);
    await assertRejects(() => writer.failed, OsError, "EIO");
    await assertRejects(() => writer.stop(), OsError);
    close();
    poolOn(test.directory).recoverAll();
  }, { wanted: { logSize: 2 * smallLogSize } });
});

Deno.test("A log is sealed for a waiting worker when input pauses or the log grows old", async () => {
  await withDataDirectory(async (test) => {
    const { writer, close } = await startFaulty(test, { sealAfterMs: 30 });
    const mode = () => test.storage.status(`${test.data}/logs/0000000000`).mode;
    await append(writer, one);
    await systemClock.sleep(200);
    assertEquals(mode(), 0o600, "no worker folds, so nothing is sealed early");
    assert(test.directory.control.tryLock(directoryLocks.fold));
    await waitUntil("the sealed log", () => mode() === 0o200);
    await writer.stop();
    close();
  });
});

Deno.test("Two openings of one directory in one process have locks of their own", async () => {
  await withDataDirectory(async (test) => {
    const first = await startFaulty(test, { logs: 2 });
    const second = await startFaulty(test, { logs: 2 });
    await append(first.writer, one);
    await append(second.writer, one);
    await first.writer.stop();
    await second.writer.stop();
    first.close();
    second.close();
    const sealed = test.storage.readDirectory(`${test.data}/logs`).filter((name) =>
      test.storage.status(`${test.data}/logs/${name}`).mode === 0o200
    );
    assertEquals(sealed.length, 2);
    assertEquals(smallLogSize, test.directory.sizes.logSize);
  });
});

Deno.test("A writer that waits for a log still syncs by timer", async () => {
  await withDataDirectory(async (test) => {
    const limits = { logs: 2, backlogBytes: 2 * smallLogSize, syncIntervalMs: 300 };
    const { writer, events, close } = await startFaulty(test, limits);
    for (let count = 0; count < 2; count++) await append(writer, large);
    const third = append(writer, large);
    third.catch(() => {});
    await waitUntil("the wait", () => events.some((event) => event.startsWith("backlog full")));
    await waitUntil("the timer's sync", () => writer.durablePosition === writer.position);
    await writer.stop();
    await assertRejects(() => third);
    close();
  });
});

Deno.test("A writer that waits for a log ends when the directory is marked failed", async () => {
  await withDataDirectory(async (test) => {
    const limits = { logs: 2, backlogBytes: 2 * smallLogSize };
    const { writer, events, close } = await startFaulty(test, limits);
    for (let count = 0; count < 2; count++) await append(writer, large);
    const third = append(writer, large);
    third.catch(() => {});
    await waitUntil("the wait", () => events.some((event) => event.startsWith("backlog full")));
    // Another writer that would have to wait, from its first log on.
    const other = startFaulty(test, limits);
    other.catch(() => {});
    test.directory.markFailed("a worker's sync failed", 0);
    await assertRejects(() => third, DirectoryFailedError);
    await assertRejects(() => writer.failed, DirectoryFailedError, "a worker's sync failed");
    await assertRejects(() => other, DirectoryFailedError);
    await assertRejects(() => writer.stop(), DirectoryFailedError);
    close();
  }, { checks: false });
});

Deno.test("A log whose sync failed does not become durable by the sync of the next log", async () => {
  await withDataDirectory(async (test) => {
    const faults = new Faults();
    const inner = faultyStorage(systemStorage(), faults);
    /** By log: the sync that is held up. */
    const held = new Map<string, PromiseWithResolvers<void>>();
    let holds = false;
    const storage: Storage = {
      ...inner,
      open(path, options) {
        const file = inner.open(path, options);
        const { syncDataAsync } = file;
        return Object.assign(file, {
          async syncDataAsync() {
            if (!holds || path.endsWith("control")) return await syncDataAsync();
            const sync = Promise.withResolvers<void>();
            held.set(path.slice(-1), sync);
            await sync.promise;
          },
        });
      },
    };
    using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
    const options = { ...serverOptions, syncIntervalMs: 3_600_000 };
    const environment = { clock: systemClock, events: noEvents, metrics: new Metrics() };
    const writer = await LogWriter.start(directory, options, environment);
    await append(writer, large);
    const first = writer.position;
    await syncsBefore(faults);
    holds = true;
    // Rotates: the first log's last sync is running, and the claim of the next spare waits.
    await append(writer, large);
    await waitUntil("the spare's claim", () => held.has("2"));
    held.get("2")?.resolve();
    await writer.rotate();
    await waitUntil("both syncs", () => held.has("0") && held.has("1"));
    const seen = writer.whenDurable(first).then(() => writer.durablePosition);
    held.get("0")?.resolve();
    held.get("1")?.reject(new OsError("fdatasync", "log", "EIO"));
    assertEquals(await seen, first);
    await assertRejects(() => writer.failed, DirectoryFailedError);
    holds = false;
    for (const sync of held.values()) sync.resolve();
    await assertRejects(() => writer.stop(), DirectoryFailedError);
  }, { checks: false });
});

Deno.test("A writer does not wait without end for a log that another process is adding", async () => {
  await withDataDirectory(async (test) => {
    const { control } = test.directory;
    const stop = new AbortController();
    let passedMs = 0;
    const clock: Clock = {
      ...systemClock,
      nowMs: () => passedMs,
      sleep: async (delayMs) => {
        passedMs += 100 * delayMs;
        await systemClock.sleep(0);
      },
    };
    const events: string[] = [];
    const start = async (directory: DataDirectory) =>
      await LogWriter.start(directory, { ...serverOptions, logs: 2 }, {
        clock,
        events: { report: (_level, event) => events.push(event) },
        metrics: new Metrics(),
        signal: stop.signal,
      });
    assert(control.tryLock(directoryLocks.growth));
    await assertRejects(
      () => start(test.open()),
      BusyError,
      `pid ${Deno.pid} has been creating commit logs`,
    );
    control.unlock(directoryLocks.growth);
    const writer = await start(test.open());
    assert(control.tryLock(directoryLocks.growth));
    // Both logs are held; the third cannot be made.
    const waiting = start(test.open());
    await waitUntil("the wait", () => events.some((event) => event.startsWith("another process")));
    stop.abort("stopped");
    assertEquals(await waiting.catch((reason) => reason), "stopped");
    await writer.stop();
    control.unlock(directoryLocks.growth);
  });
});

Deno.test("A writer that waits for another process's new log can be stopped", async () => {
  await withDataDirectory(async (test) => {
    const { control } = test.directory;
    assert(control.tryLock(directoryLocks.growth));
    const stop = new AbortController();
    const environment = { clock: systemClock, events: noEvents, metrics: new Metrics() };
    const options = { ...serverOptions, logs: 2 };
    const waiting = LogWriter.start(test.open(), options, { ...environment, signal: stop.signal });
    stop.abort("stopped");
    assertEquals(await waiting.catch((reason) => reason), "stopped");
    control.unlock(directoryLocks.growth);
  });
});

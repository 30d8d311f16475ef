/** A writer seals its logs in the order of their claims. */

import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  DataDirectory,
  describeSelf,
  DirectoryFailedError,
  headerOfSlot,
  type LogHeader,
  type LogState,
} from "../../../src/counters/commitlog/mod.ts";
import { type Storage, systemStorage } from "../../../src/file/mod.ts";
import { LogWriter } from "../../../src/counters/write/mod.ts";
import { batchOf, withDataDirectory } from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { waitUntil } from "../../support/wait.ts";
import { append, serverOptions, syncsBefore } from "./support.ts";

/** Some 40 KiB: two of them do not fit into a small log. */
const large = batchOf(
  Array.from({ length: 150 }, (_, index) => ["ks", `${index}`.padEnd(256, "x"), 1n] as const),
);

interface HeldSeal {
  readonly writer: LogWriter;
  readonly directory: DataDirectory;
  /** States of the first two logs. */
  states(): LogState[];
  /** Lets the last sync of the first log go on. */
  release(): void;
}

/** Gives a writer whose first log is full: its seal waits for a sync, and that of the second is under way. */
async function withHeldSeal(
  body: (held: HeldSeal) => Promise<void>,
  options: { checks?: boolean } = {},
): Promise<void> {
  await withDataDirectory(async (test) => {
    const faults = new Faults();
    const inner = faultyStorage(systemStorage(), faults);
    const first = Promise.withResolvers<void>();
    let holds = false;
    const storage: Storage = {
      ...inner,
      open(path, options) {
        const file = inner.open(path, options);
        const { syncDataAsync } = file;
        return Object.assign(file, {
          async syncDataAsync() {
            if (holds && path.endsWith("0")) await first.promise;
            await syncDataAsync();
          },
        });
      },
    };
    using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
    const environment = { clock: systemClock, events: noEvents, metrics: new Metrics() };
    // No timer joins in: what is synced is synced for a seal.
    const options = { ...serverOptions, syncIntervalMs: 3_600_000 };
    const writer = await LogWriter.start(directory, options, environment);
    await append(writer, large);
    holds = true;
    // Does not fit into the first log.
    await append(writer, large);
    const syncs = await syncsBefore(faults);
    await writer.rotate();
    // The second log is on disk, and waits for the first one.
    await waitUntil("the sync of the second log", () => faults.count("sync") > syncs);
    await syncsBefore(faults);
    await body({
      writer,
      directory,
      states: () => [0, 1].map((slot) => (headerOfSlot(directory, slot) as LogHeader).state),
      release: () => first.resolve(),
    });
  }, options);
}

Deno.test("Logs are sealed in the order of their claims, although a later one is synced first", async () => {
  await withHeldSeal(async ({ writer, directory, states, release }) => {
    assertEquals(states(), ["active", "active"]);
    release();
    await waitUntil("both seals", () => states().every((state) => state === "sealed"));
    const [one, two] = [0, 1].map((slot) => (headerOfSlot(directory, slot) as LogHeader).order);
    assertEquals(two, one! + 1n);
    await writer.stop();
  });
});

Deno.test("A writer that stops waits for the seals that are under way", async () => {
  await withHeldSeal(async ({ writer, states, release }) => {
    let isStopped = false;
    const stopped = writer.stop().finally(() => isStopped = true);
    await systemClock.sleep(100);
    assertEquals([isStopped, ...states()], [false, "active", "active"]);
    release();
    await stopped;
    assertEquals(states(), ["sealed", "sealed"]);
  });
});

Deno.test("A writer that failed does not stop before a seal that is under way has its header", async () => {
  await withHeldSeal(async ({ writer, directory, states, release }) => {
    directory.markFailed("a test", 0);
    await assertRejects(() => writer.failed, DirectoryFailedError);
    let isStopped = false;
    const stopped = writer.stop().finally(() => isStopped = true);
    stopped.catch(() => {});
    await systemClock.sleep(100);
    assertEquals([isStopped, states()[0]], [false, "active"]);
    release();
    await assertRejects(() => stopped, DirectoryFailedError);
    assertEquals(states()[0], "sealed");
  }, { checks: false });
});

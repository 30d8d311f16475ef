/** A writer seals its logs in the order of their claims. */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  DataDirectory,
  describeSelf,
  headerOfSlot,
  type LogHeader,
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

Deno.test("Logs are sealed in the order of their claims, although a later one is synced first", async () => {
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
    const writer = await LogWriter.start(directory, serverOptions, environment);
    await append(writer, large);
    holds = true;
    // Does not fit into the first log.
    await append(writer, large);
    const syncs = await syncsBefore(faults);
    await writer.rotate();
    // The second log is on disk, and waits for the first one.
    await waitUntil("the sync of the second log", () => faults.count("sync") > syncs);
    await syncsBefore(faults);
    const stateOf = (slot: number) => headerOfSlot(directory, slot);
    const states = () => [0, 1].map((slot) => (stateOf(slot) as LogHeader).state);
    assertEquals(states(), ["active", "active"]);
    first.resolve();
    await waitUntil("both seals", () => states().every((state) => state === "sealed"));
    const [one, two] = [0, 1].map((slot) => (stateOf(slot) as LogHeader).order);
    assertEquals(two, one! + 1n);
    await writer.stop();
  });
});

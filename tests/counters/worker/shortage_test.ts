/** A fold that lacks descriptors, which is another thing than a full disk. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { BusyError } from "../../../src/base/errors.ts";
import type { Events } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { DataDirectory, describeSelf } from "../../../src/counters/commitlog/mod.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { OsError } from "../../../src/file/mod.ts";
import { overridden } from "../../support/overridden.ts";
import { waitUntil } from "../../support/wait.ts";
import { counters, fold, sealLog, withFolds } from "./folding.ts";

// Story: a keyspace file that was in use by the system ended the worker, and each worker after it.
Deno.test("A fold that meets a file in use waits until it can be used", async () => {
  await withFolds(async (test) => {
    for (const code of ["EAGAIN", "EBUSY"]) {
      await sealLog(test, [["ks", "k", 1n]]);
      let isBusy = true;
      const storage = overridden(test.storage, {
        open(path, options) {
          if (isBusy && path.includes("/keyspaces/")) throw new OsError("open", path, code);
          return test.storage.open(path, options);
        },
      });
      await assertRejects(() => fold(test, storage), BusyError, "in use by the system");
      const told: string[] = [];
      const events: Events = { report: (_level, event) => told.push(event) };
      const metrics = new Metrics();
      const stop = new AbortController();
      using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
      const running = new Worker(directory, { clock: systemClock, events, metrics }).run(
        stop.signal,
      );
      const wait = "a file is in use by the system: folding waits until it can be used";
      await waitUntil("the event", () => told.includes(wait));
      assertEquals(metrics.readiness.reasons(), [wait]);
      isBusy = false;
      await waitUntil("the fold", () => told.includes("folding goes on"));
      assertEquals(metrics.readiness.reasons(), []);
      stop.abort();
      await running;
    }
    assertEquals(counters(test, "ks"), ["k 2"]);
  });
});

Deno.test("A fold that lacks descriptors says so, and does not speak of a full disk", async () => {
  await withFolds(async (test) => {
    await sealLog(test, [["ks", "k", 1n]]);
    let isScarce = true;
    const storage = overridden(test.storage, {
      open(path, options) {
        if (isScarce && path.includes("/keyspaces/")) throw new OsError("open", path, "EMFILE");
        return test.storage.open(path, options);
      },
    });
    const error = await assertRejects(() => fold(test, storage), BusyError, "Too few descriptors");
    assert(!error.message.includes("space"), error.message);
    const told: string[] = [];
    const events: Events = { report: (_level, event) => told.push(event) };
    const metrics = new Metrics();
    const stop = new AbortController();
    using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
    const running = new Worker(directory, { clock: systemClock, events, metrics }).run(stop.signal);
    const wait = "out of descriptors or memory: folding waits until there are enough";
    await waitUntil("the event", () => told.includes(wait));
    assertEquals(metrics.gauge("countd_disk_full").value, 0);
    isScarce = false;
    await waitUntil("the fold", () => told.includes("folding goes on"));
    stop.abort();
    await running;
    assertEquals(counters(test, "ks"), ["k 1"]);
  });
});

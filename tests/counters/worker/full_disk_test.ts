/** A disk that is full at any write of a fold: when space returns, the fold goes on and keeps no log. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { DataDirectory, describeSelf, headerOfSlot } from "../../../src/counters/commitlog/mod.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { SimulatedDisk } from "../../support/simulated_disk.ts";
import { waitUntil } from "../../support/wait.ts";
import { LivingDirectory } from "../view/living_directory.ts";

function areFree(directory: DataDirectory): boolean {
  return [0, 1, 2].every((slot) => {
    const header = headerOfSlot(directory, slot);
    return header !== null && header !== "held" && header.state === "free";
  });
}

// Story: on a file system that copies, the disk was full when a log was recycled. The worker kept the log
// locked until its end, and one more with each try, until the writer had none.
Deno.test("A fold that meets a full disk at any write recycles every log once there is space", async () => {
  for (let nth = 1;; nth++) {
    const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 17 });
    const storage = disk.process("writer");
    await using living = await LivingDirectory.open("/data", {
      logSize: 2 ** 17,
      logs: 3,
      storage,
    });
    for (const key of ["a", "b"]) {
      await living.write([{ keyspace: "ks", key, increment: 1n }]);
      await living.seal();
    }
    const faults = new Faults();
    const faulty = faultyStorage(disk.process("worker"), faults);
    using directory = DataDirectory.open(faulty, "/data", { self: describeSelf(faulty) });
    const metrics = new Metrics();
    const clock = {
      nowMs: () => systemClock.nowMs(),
      wallMs: () => systemClock.wallMs(),
      sleep: (timeMs: number, signal?: AbortSignal) => systemClock.sleep(timeMs / 500, signal),
    };
    const worker = new Worker(directory, { clock, events: noEvents, metrics });
    const stop = new AbortController();
    faults.failFrom("write", nth, "ENOSPC");
    const running = worker.run(stop.signal);
    // Long enough for several tries.
    for (let turn = 0; turn < 20; turn++) await systemClock.sleep(1);
    const { failed } = faults;
    faults.heal();
    await waitUntil("the logs to be folded", () => areFree(directory));
    stop.abort();
    await running;
    assertEquals(living.ranking("ks").length, 2);
    if (failed === 0) {
      assert(nth > 5, `a fold has ${nth - 1} writes`);
      break;
    }
  }
});

/**
 * With `--sync os` only the fold makes a log durable. A keyspace on disk that has applied a log implies that
 * the frames of the log are on disk: a power cut must not take them, because they may come again.
 *
 * One keyspace, because the sync of more than four is one of the whole file system, which hides the fault.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { noEvents } from "../../src/base/events.ts";
import {
  DataDirectory,
  listSlots,
  LogReader,
  scanLog,
  SealedLog,
} from "../../src/counters/commitlog/mod.ts";
import { Aggregator } from "../../src/counters/keyspace/mod.ts";
import { Fold } from "../../src/counters/worker/fold.ts";
import { KeyspaceWriters } from "../../src/counters/worker/keyspace_writers.ts";
import { Quarantine } from "../../src/counters/worker/quarantine.ts";
import { greatestGenerations } from "../../src/admin/applied_generations.ts";
import type { Storage } from "../../src/file/mod.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import {
  counterSubject,
  DATA,
  someHolder,
  stillClock,
  type WriterStep,
} from "./counter_subject.ts";
import { explore } from "./explore.ts";
import { plantedStorage } from "./planted_storage.ts";
import { workerFold } from "./worker_fold.ts";

const RECORDS = 6;
const steps: readonly WriterStep[] = [
  ...Array.from({ length: RECORDS / 2 }, () => ({ do: "append", keyspaces: ["one"] }) as const),
  { do: "seal", sync: false },
  { do: "fold" },
];

/** Throws if a keyspace has applied a log that is not free and has lost frames. Returns how many it saw. */
function checkApplied(disk: SimulatedDisk): number {
  const storage = disk.process("look");
  using directory = DataDirectory.openOrNull(storage, DATA, { self: someHolder });
  if (directory === null) return 0;
  let seen = 0;
  for (const [slot, applied] of greatestGenerations(storage, directory.paths.keyspaces)) {
    using reader = LogReader.open(directory, slot);
    const capture = reader?.capture();
    if (!reader || !capture || capture.state === "free" || capture.generation !== applied) continue;
    const { records } = scanLog(reader.log, { slot, generation: applied }, {
      length: reader.log.size,
    });
    assertEquals(records, RECORDS, "a keyspace has applied frames that the power cut took");
    seen++;
  }
  return seen;
}

/** A fold of a worker that has had its lease for long: taking the lease syncs the whole file system. */
function foldUnderLease(directory: DataDirectory): void {
  const { storage, paths } = directory;
  const writers = new KeyspaceWriters(storage, paths.keyspaces);
  const fold = new Fold(directory, writers, new Aggregator(), new Quarantine(stillClock, noEvents));
  for (const slot of listSlots(storage, paths.logs).slots) {
    const taken = SealedLog.take(directory, slot);
    if (taken.kind === "sealed") fold.add(taken.log);
  }
  fold.applyAndRecycle();
  writers.close();
}

/** Crashes the work at every point, and looks at what is on the disk before a worker recovers it. */
async function run(plant: (storage: Storage) => Storage): Promise<number> {
  const fold = { ...workerFold, fold: foldUnderLease };
  const subject = counterSubject("log sync", { steps: () => steps, fold, logs: 1, plant });
  let seen = 0;
  await explore({
    ...subject,
    recover: async (disk) => {
      seen += checkApplied(disk);
      using directory = DataDirectory.open(disk.process("worker"), DATA, { self: someHolder });
      await workerFold.fold(directory);
    },
  });
  return seen;
}

Deno.test("A keyspace on disk never has more of a log than the disk has", async () => {
  assert(
    await run((storage) => storage) > 0,
    "no crash came between the meta block and the recycling",
  );
});

Deno.test("Planted bug is caught: a fold that does not sync the log", async () => {
  const plant = (storage: Storage) =>
    plantedStorage(storage, "skip the sync of the logs of the fold", `${DATA}/logs`);
  await assertRejects(() => run(plant), Error, "frames that the power cut took");
});

/**
 * Faults at every single call, on the simulated disk: no space at each allocation and write, an error at
 * each sync, no descriptor at each open. Writer and worker are the shipped ones. However they handle the
 * fault, each answered increment is there once afterwards, also if the power fails right then.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { CountdError } from "../../src/base/errors.ts";
import { checkDirectory, clearFailed } from "../../src/admin/mod.ts";
import { DataDirectory } from "../../src/counters/commitlog/mod.ts";
import { OsError, type Storage } from "../../src/file/mod.ts";
import { LogWriter } from "../../src/counters/write/mod.ts";
import { Random, seedForTest } from "../support/random.ts";
import { cutKeepsNothing, cutTearsEven } from "../support/simulated_cut.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import type { DiskEvent, OperationKind } from "../support/simulated_operations.ts";
import { CounterOracle } from "./counter_oracle.ts";
import { DATA, LOG_BYTES, OneBatch, openPool, someHolder, stillClock } from "./counter_subject.ts";
import { keyspaceTotals } from "./keyspace_fold.ts";
import { plantedStorage } from "./planted_storage.ts";
import { environment, foldWith, session } from "./shipped_session.ts";
import { foldOnce } from "./worker_fold.ts";

interface FaultKind {
  readonly name: string;
  readonly code: string;
  readonly kinds: readonly OperationKind[];
}

const faults: readonly FaultKind[] = [
  { name: "no space", code: "ENOSPC", kinds: ["create", "allocate", "write", "link"] },
  { name: "no quota", code: "EDQUOT", kinds: ["allocate"] },
  {
    name: "a sync that fails",
    code: "EIO",
    kinds: ["sync data", "sync data async", "sync", "sync directory", "sync file system"],
  },
  { name: "no descriptor", code: "EMFILE", kinds: ["open"] },
  { name: "no memory", code: "ENOMEM", kinds: ["map"] },
];

async function newDisk(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const pool = await openPool(disk.process("prepare"));
  pool.directory.close();
  disk.syncEverything();
  return disk.twin();
}

/** Acts as an operator: check, clear the failed mark, fold. Then no answered increment may be missing. */
async function judge(disk: SimulatedDisk, oracle: CounterOracle, story: string): Promise<void> {
  try {
    const storage = disk.process("after");
    clearFailed(storage, DATA, { self: someHolder });
    const pool = await openPool(storage);
    await foldOnce(pool.directory);
    pool.directory.close();
    oracle.judge(keyspaceTotals(storage));
    assertEquals(checkDirectory(storage, DATA, { self: someHolder }).violations, [], story);
    assertEquals(disk.space.storesIntoHoles, 0, "stores into space that was not allocated");
  } catch (cause) {
    throw new Error(`${story}: ${(cause as Error).message}`, { cause });
  }
}

/** Fails each call of some kinds in turn; returns how many calls there are. */
async function failEach(
  { code, kinds }: FaultKind,
  plant: (storage: Storage) => Storage = (storage) => storage,
): Promise<number> {
  const counting = await newDisk();
  let calls = 0;
  const isMeant = (event: DiskEvent) => event.when === "before" && kinds.includes(event.kind);
  counting.observer = (event) => void (isMeant(event) && calls++);
  await session(counting.process("writer"), counting.process("worker"), new CounterOracle());
  for (let nth = 1; nth <= calls; nth++) {
    // The call fails once, or the calls fail for a while: a disk stays full.
    for (const lasting of code === "EIO" ? [1] : [1, 4]) {
      const disk = await newDisk();
      const oracle = new CounterOracle();
      let seen = 0;
      disk.observer = (event) => {
        if (isMeant(event) && ++seen >= nth && seen < nth + lasting) return code;
      };
      const writer = disk.process("writer");
      const worker = disk.process("worker");
      let outcome = "went on";
      try {
        await session(plant(writer), plant(worker), oracle);
      } catch (error) {
        const isExpected = error instanceof CountdError || error instanceof OsError;
        if (!isExpected) throw error;
        outcome = `ended: ${error.message}`;
      }
      disk.observer = null;
      writer.kill();
      worker.kill();
      const story = `${code} at call ${nth} of ${calls}, ${lasting} times; ${outcome}`;
      for (const cut of [cutKeepsNothing, cutTearsEven]) {
        await judge(disk.powerCut(cut), oracle.copy(), `${story}; power cut: ${cut.name}`);
      }
      await judge(disk, oracle, story);
    }
  }
  return calls;
}

for (const fault of faults) {
  const { name, code } = fault;
  Deno.test(`Every call with ${name} (${code}): no answered increment is lost or counted twice`, async () => {
    const calls = await failEach(fault);
    assert(calls > 0, "the session makes such calls");
    console.log(`${calls} calls failed one by one`);
  });
}

Deno.test("Planted bug is caught: a failed sync is repeated as if nothing had happened", async () => {
  const plant = (storage: Storage) =>
    plantedStorage(storage, "retry a failed sync", `${DATA}/logs`);
  const fault = faults.find(({ code }) => code === "EIO") as FaultKind;
  const error = await assertRejects(() => failEach(fault, plant), Error);
  assertMatch(error.message, /acknowledged and is lost|damaged at byte|rules are broken/);
});

Deno.test("After a failed sync no process writes, folds or recycles until the mark is cleared", async () => {
  const disk = await newDisk();
  const oracle = new CounterOracle();
  disk.observer = (event) =>
    event.kind === "sync data async" && event.when === "before" && event.index > 60
      ? "EIO"
      : undefined;
  let failed = false;
  const writer = disk.process("writer");
  await session(writer, disk.process("worker"), oracle).catch(() => failed = true);
  writer.kill();
  disk.observer = null;
  assert(failed, "the writer gave up");
  const storage = disk.process("after");
  const before = [...disk.files()].filter(([path]) => !path.endsWith("/control"))
    .map(([path, inode]) => `${path} ${inode.digest()}`);
  for (const attempt of [() => foldWith(storage), () => session(storage, storage, oracle.copy())]) {
    let refusal = "";
    await attempt().catch((error) => refusal = (error as Error).message);
    assert(refusal.includes("check --clear-failed"), refusal);
  }
  const after = [...disk.files()].filter(([path]) => !path.endsWith("/control"))
    .map(([path, inode]) => `${path} ${inode.digest()}`);
  assertEquals(after, before);
  await judge(disk, oracle, "after clearing");
});

Deno.test("Clock jumps change only what is displayed", async () => {
  const random = new Random(seedForTest("clock jumps"));
  const wild = {
    ...stillClock,
    wallMs: () => random.pick([0, -1e15, 8.64e15, 1e300, Date.now(), Number.MAX_SAFE_INTEGER]),
    nowMs: () => random.fraction() * 1e9,
  };
  const disk = await newDisk();
  const oracle = new CounterOracle();
  const storage = disk.process("writer");
  {
    using directory = DataDirectory.open(storage, DATA, { self: someHolder });
    const writer = await LogWriter.start(directory, {
      sync: "interval",
      syncIntervalMs: 10,
      logs: 2,
      backlogBytes: 6 * LOG_BYTES,
      sealAfterMs: 10,
    }, { ...environment, clock: wild });
    for (let count = 0; count < 10; count++) {
      const batch = oracle.send(["one"]);
      while (!writer.append(new OneBatch(batch))) await writer.rotate();
      await writer.whenDurable(writer.position);
      batch.acknowledged = true;
    }
    await writer.stop();
  }
  await judge(disk, oracle, "clock jumps");
});

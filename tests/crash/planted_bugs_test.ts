/**
 * Tests of the tests: bugs that are known to lose or double counts are planted one at a time. The simulated
 * disk must show each of them, in the same enumerated runs every time. The same runs pass without a bug.
 */

import { assert, assertMatch, assertRejects } from "@std/assert";
import { ActiveLog, DataDirectory } from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { cutKeepsData } from "../support/simulated_cut.ts";
import { type DiskEvent, SimulatedDisk } from "../support/simulated_disk.ts";
import { CounterOracle } from "./counter_oracle.ts";
import {
  counterSubject,
  type CounterWork,
  DATA,
  OneBatch,
  openPool,
  someHolder,
  type WriterStep,
} from "./counter_subject.ts";
import { explore, exploreCounted, type ExploreOptions, type Subject } from "./explore.ts";
import { plantedStorage, type StorageBug } from "./planted_storage.ts";
import { isOfFold, workerFold } from "./worker_fold.ts";
import { type FoldBug, referenceFold, referenceTotals } from "./reference_fold.ts";

const append = (...keyspaces: string[]): WriterStep => ({ do: "append", keyspaces });
const sync: WriterStep = { do: "sync" };
const seal: WriterStep = { do: "seal", sync: true };
const fold: WriterStep = { do: "fold" };

/** Enough to pass through every step of the protocol, and through one slot twice. */
const workload: readonly WriterStep[] = [
  append("one", "two"),
  append("two"),
  sync,
  seal,
  fold,
  append("one"),
  seal,
  fold,
  append("two"),
  sync,
];

function subjectFor(work: Partial<CounterWork>): Subject<CounterOracle> {
  return counterSubject("planted", {
    steps: () => workload,
    fold: { fold: (directory) => referenceFold(directory), totals: referenceTotals },
    logs: 2,
    ...work,
  });
}

async function run(work: Partial<CounterWork>, options: ExploreOptions = {}): Promise<void> {
  await explore(subjectFor(work), options);
}

async function assertCaught(
  symptom: RegExp,
  work: Partial<CounterWork>,
  options: ExploreOptions = {},
): Promise<void> {
  const error = await assertRejects(() => run(work, options), Error);
  assert(error.message.startsWith("planted: "), `found by something else: ${error.stack}`);
  assertMatch(error.message, symptom);
}

const soundRuns = new FullCount("runs without a planted bug");

Deno.test("Without a planted bug the runs pass", async () => {
  await exploreCounted(subjectFor({}), soundRuns, {
    normal: { every: 8, doubleEvery: 97 },
    full: { doubleEvery: 97 },
  });
});

const lost = /was acknowledged and is lost/;
const doubled = /is counted .*2/;

/** A slot is used twice for frames of one length: old frames fit exactly where the new ones end. */
const slotTwice = [append("one"), append("one"), seal, fold, append("one"), sync];
/** No step syncs the log itself. */
const unsynced = [fold, append("one"), { do: "seal", sync: false } as const, fold];

const storageBugs: readonly (readonly [StorageBug, RegExp, readonly WriterStep[]])[] = [
  ["skip the data sync", lost, workload],
  ["skip the directory sync", lost, workload],
  ["full before the data is durable", /acknowledged and is lost|is damaged at byte/, workload],
  ["write before the generation is durable", /has lost its header/, unsynced],
  ["checksum not seeded with the generation", doubled, slotTwice],
  ["no checksum", /./, workload],
];

for (const [bug, symptom, steps] of storageBugs) {
  Deno.test(`Planted bug is caught: ${bug}`, async () => {
    const plant = (storage: Storage) => plantedStorage(storage, bug, `${DATA}/logs`);
    await assertCaught(symptom, { plant, steps: () => steps, logs: 1 });
  });
}

/** With the worker that is shipped. */
const workerBugs: readonly (readonly [StorageBug, RegExp, ExploreOptions])[] = [
  ["skip the data sync", lost, {}],
  ["skip the directory sync", lost, {}],
  ["skip sync A of the fold", /./, { at: isOfFold }],
  ["skip sync B of the fold", /lost|in one keyspace and not in another/, { at: isOfFold }],
];

for (const [bug, symptom, options] of workerBugs) {
  Deno.test(`Planted bug is caught with the shipped worker: ${bug}`, async () => {
    const plant = (storage: Storage) => plantedStorage(storage, bug, `${DATA}/logs`);
    await assertCaught(symptom, { plant, fold: workerFold }, options);
  });
}

/** So many keyspaces that a sync of the fold is one of the file system: first all are new, then most are old. */
const manyKeyspaces = [
  append("one", "two", "three", "four", "five", "six"),
  seal,
  fold,
  append("one", "two", "three", "four", "five", "seven"),
  seal,
  fold,
];

for (const bug of ["skip sync A of the fold", "skip sync B of the fold"] as const) {
  Deno.test(`Planted bug is caught in a fold of six new keyspaces: ${bug}`, async () => {
    const plant = (storage: Storage) => plantedStorage(storage, bug, `${DATA}/logs`);
    const steps = () => manyKeyspaces.slice(0, 3);
    await assertCaught(/./, { plant, steps, fold: workerFold });
  });
}

Deno.test("Without a planted bug folds of six keyspaces pass", async () => {
  await run({ steps: () => manyKeyspaces, fold: workerFold }, { doubleEvery: 997 });
});

Deno.test("Without a planted bug the special runs pass too", async () => {
  for (const steps of [slotTwice, unsynced]) await run({ steps: () => steps, logs: 1 });
});

const foldBugs: readonly (readonly [FoldBug, RegExp])[] = [
  ["applied generation in a second step", doubled],
  ["applied generation before the data", lost],
  ["recycle before the keyspaces are durable", lost],
  ["fold twice after a restart", doubled],
  ["count as a double", /the sum of/],
  ["one applied generation for all keyspaces", /counted in one keyspace and not in another/],
  ["zero slot accepted", /number of counters/],
];

for (const [bug, symptom] of foldBugs) {
  Deno.test(`Planted bug is caught: ${bug}`, async () => {
    const planted = { fold: (d: Parameters<typeof referenceFold>[0]) => referenceFold(d, bug) };
    await assertCaught(symptom, { fold: { ...planted, totals: referenceTotals } });
  });
}

Deno.test("Planted bug is caught: acknowledge before sync", async () => {
  await assertCaught(lost, { acknowledgeBeforeSync: true });
});

Deno.test("Planted bug is caught: generation not raised", async () => {
  await assertCaught(/./, { keepGeneration: true });
});

Deno.test("Planted bug is caught: a new worker trusts keyspaces that only the page cache has", async () => {
  const plant = (storage: Storage) =>
    plantedStorage(storage, "skip the sync of the file system", `${DATA}/logs`);
  const steps = () => [append("one"), seal, fold];
  // The process dies in the fold. Then the disk loses the name that it gave, and not the data of the log.
  const at = ({ path }: DiskEvent) => path.startsWith("/store");
  const options = { at, cuts: [cutKeepsData], doubleEvery: 1 };
  await assertCaught(lost, { plant, steps, logs: 1 }, options);
});

/**
 * A writer opens its own directory a second time (as `serve` and a status do), another process folds, and
 * then the writer continues.
 */
async function openTwice(lockOwner: "description" | "process"): Promise<void> {
  const disk = new SimulatedDisk({ lockOwner });
  const oracle = new CounterOracle();
  const storage = disk.process("writer");
  const pool = await openPool(storage);
  const active = await pool.claim();
  assert(active instanceof ActiveLog, "a log is free");
  const write = async () => {
    const batch = oracle.send(["one"]);
    active.append(new OneBatch(batch));
    await active.sync();
    batch.acknowledged = true;
  };
  await write();
  DataDirectory.open(storage, DATA, { self: someHolder }).close();
  const other = disk.process("worker");
  using directory = DataDirectory.open(other, DATA, { self: someHolder });
  referenceFold(directory);
  await write();
  storage.kill();
  referenceFold(directory);
  oracle.judge(referenceTotals(other));
}

Deno.test("Planted bug is caught: POSIX instead of OFD lock", async () => {
  await openTwice("description");
  const error = await assertRejects(() => openTwice("process"), Error);
  assertMatch(error.message, lost);
});

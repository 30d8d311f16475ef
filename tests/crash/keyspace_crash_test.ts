/** Commit logs and keyspace files together: every step of Fold, crashed once and twice. */

import { assert } from "@std/assert";
import { KeyspaceReader } from "../../src/counters/keyspace/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { someCuts } from "../support/simulated_cut.ts";
import {
  counterSubject,
  DATA,
  type Fold,
  randomWriterSteps,
  type WriterStep,
} from "./counter_subject.ts";
import { session } from "./shipped_session.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import type { CounterOracle } from "./counter_oracle.ts";
import { amongTheDead, exploreCounted, randomLives } from "./explore.ts";
import { keyspaceFold, keyspaceTotals } from "./keyspace_fold.ts";
import { isOfFold, workerFold } from "./worker_fold.ts";

/** The steps of Fold one by one, and the worker as it is shipped. */
const folds: Readonly<Record<string, Fold>> = {
  "the bare fold": { fold: keyspaceFold, totals: keyspaceTotals },
  "the worker": workerFold,
};

const append = (...keyspaces: string[]): WriterStep => ({ do: "append", keyspaces });
const seal: WriterStep = { do: "seal", sync: true };

const OUTGROWS = "a keyspace outgrows its small file";

const workloads: Readonly<Record<string, readonly WriterStep[]>> = {
  "one new keyspace": [append("one"), seal, { do: "fold" }],
  "two new keyspaces": [append("one", "two"), seal, { do: "fold" }],
  "a second transaction": [
    append("one"),
    seal,
    { do: "fold" },
    append("one", "two"),
    seal,
    { do: "fold" },
  ],
  [OUTGROWS]: [
    append("one"),
    seal,
    { do: "fold" },
    { do: "fill", keyspaces: ["one", "two"] },
    seal,
    { do: "fold" },
    append("one"),
    seal,
    { do: "fold" },
  ],
  "pages used again": [
    append("one"),
    seal,
    { do: "fold" },
    append("one"),
    seal,
    { do: "fold" },
    append("one"),
    seal,
    { do: "fold" },
    append("one"),
    seal,
    { do: "fold" },
  ],
};

for (const [who, fold] of Object.entries(folds)) {
  // The bare fold shows whether a fault lies in the keyspaces or in the worker.
  const inNormalForm = fold === workerFold ? Infinity : 2;
  for (const [index, [name, steps]] of Object.entries(workloads).entries()) {
    const count = new FullCount(`${who}: ${name}`, { weight: steps.length });
    if (index >= inNormalForm && !count.isLong) continue;
    Deno.test(`Keyspaces survive a crash at every point of ${who}: ${name}`, async () => {
      const subject = counterSubject(name, { steps: () => steps, fold, logs: 2 });
      // Most points of a log that is filled are those of its writer.
      const at = name === OUTGROWS ? { at: isOfFold } : {};
      const someOnly = steps.length > 3 ? { cuts: someCuts } : {};
      const explored = await exploreCounted(subject, count, {
        normal: { every: 4, doubleEvery: 149, ...someOnly, ...at },
        full: { doubleEvery: 97, ...at },
      });
      assert(explored.moments > 20, "the work touches the disk");
      assert(count.isShort || explored.doubleImages > 0, "recovery was crashed too");
    });
  }
}

Deno.test("The workload of a keyspace that outgrows its small file does that", async () => {
  const subject = counterSubject(OUTGROWS, { steps: () => workloads[OUTGROWS]!, fold: workerFold });
  const disk = new SimulatedDisk(subject.disk);
  const oracle = subject.newOracle();
  await subject.prepare(disk, oracle);
  await subject.work(disk, oracle);
  using reader = KeyspaceReader.open(disk.process("reader"), `${DATA}/keyspaces/one`);
  assert(reader.pageSize === 8192 && reader.transaction === 3);
});

const shippedSession = new FullCount("shipped session", { weight: 8 });

Deno.test("The shipped writer and worker survive a crash at every point of a session", async () => {
  const base = counterSubject("session", { steps: () => [], fold: workerFold });
  const subject = {
    ...base,
    work: (disk: SimulatedDisk, oracle: CounterOracle) =>
      session(disk.process("writer"), disk.process("worker"), oracle),
  };
  const explored = await amongTheDead(() =>
    exploreCounted(subject, shippedSession, {
      normal: { every: 4, doubleEvery: 499, cuts: someCuts },
      full: { doubleEvery: 97 },
    })
  );
  assert(explored.moments > 100, `${explored.moments} moments`);
});

const lives = new FullCount("keyspace lives", { weight: 4 });

Deno.test("Keyspaces survive random lives", async () => {
  const fold = workerFold;
  const seed = seedForTest("keyspace lives");
  let crashes = 0;
  let rounds = 0;
  for (const round of lives.rounds(500, 5000)) {
    rounds++;
    const random = new Random(seed + round);
    const subject = counterSubject("lives", { steps: randomWriterSteps, fold, random });
    crashes += await randomLives(subject, random, 5);
  }
  assert(crashes > rounds || lives.isShort, `only ${crashes} crashes`);
});

/** The protocol of the commit logs on the simulated disk, with the shortest fold that is possible. */

import { assert } from "@std/assert";
import { Random, seedForTest } from "../support/random.ts";
import { someCuts } from "../support/simulated_cut.ts";
import {
  counterSubject,
  DATA,
  type Fold,
  randomWriterSteps,
  type WriterStep,
} from "./counter_subject.ts";
import { explore, type ExploreOptions, randomLives } from "./explore.ts";
import { referenceFold, referenceTotals } from "./reference_fold.ts";

const fold: Fold = { fold: referenceFold, totals: referenceTotals };

const isLong = Deno.env.get("COUNTD_TEST_LONG") !== undefined;

/** All cuts for short workloads; in the normal run some for long ones. */
function optionsFor(steps: readonly WriterStep[]): ExploreOptions {
  if (isLong) return { doubleEvery: 61 };
  return { doubleEvery: 149, ...(steps.length > 5 ? { cuts: someCuts } : {}) };
}

const append = (...keyspaces: string[]): WriterStep => ({ do: "append", keyspaces });
const sync: WriterStep = { do: "sync" };
const seal: WriterStep = { do: "seal", sync: true };

const workloads: Readonly<Record<string, readonly WriterStep[]>> = {
  "append and acknowledge": [append("one"), sync, append("one"), sync],
  "several frames between two syncs": [append("one", "two"), append("two"), sync, append("one")],
  "seal, fold, recycle": [append("one", "two"), seal, { do: "fold" }],
  "use a slot again": [
    append("one"),
    append("two"),
    seal,
    { do: "fold" },
    append("one"),
    seal,
    { do: "fold" },
    append("two"),
  ],
  "two sealed logs in one fold": [append("one"), seal, append("one", "two"), seal, { do: "fold" }],
};

/** A pool of two logs grows by a third one. */
const growth = [append("one"), seal, append("two"), seal, append("one"), sync];

for (const [name, steps] of Object.entries(workloads)) {
  Deno.test(`Commit logs survive a crash at every point: ${name}`, async () => {
    const subject = counterSubject(name, { steps: () => steps, fold });
    const explored = await explore(subject, optionsFor(steps));
    assert(explored.points > 20, "the work touches the disk");
    assert(explored.doubleImages > 0, "recovery was crashed too");
  });
}

Deno.test("Commit logs survive a crash at every point of the first start", async () => {
  const subject = counterSubject("first start", {
    steps: () => [append("one"), sync],
    fold,
    fromNothing: true,
  });
  const explored = await explore(subject, { doubleEvery: isLong ? 29 : 149 });
  assert(explored.points > 60, "making the directory touches the disk");
});

Deno.test("Commit logs survive a crash at every point while the pool grows", async () => {
  const subject = counterSubject("growth", { steps: () => growth, fold });
  await explore(subject, optionsFor(growth));
});

Deno.test("A slot that a crash left unfinished is made again, also over crashes in between", async () => {
  const subject = counterSubject("half-made slot", {
    steps: () => growth,
    fold,
    litter(storage) {
      using file = storage.open(`${DATA}/logs/lock-0000000002`, {
        access: "write",
        create: "exclusive",
      });
      file.write(new Uint8Array(1000), 0);
    },
  });
  await explore(subject, optionsFor(growth));
});

Deno.test("Commit logs survive random lives", async () => {
  const seed = seedForTest("commit log lives");
  const seeds = isLong ? 5000 : 300;
  let crashes = 0;
  for (let round = 0; round < seeds; round++) {
    const random = new Random(seed + round);
    const subject = counterSubject("lives", { steps: randomWriterSteps, fold, random });
    crashes += await randomLives(subject, random, 5);
  }
  assert(crashes > seeds, `only ${crashes} crashes`);
});

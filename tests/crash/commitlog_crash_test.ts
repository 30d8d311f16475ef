/** The protocol of the commit logs on the simulated disk, with the shortest fold that is possible. */

import { assert } from "@std/assert";
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
import { exploreCounted, randomLives } from "./explore.ts";
import { referenceFold, referenceTotals } from "./reference_fold.ts";

const fold: Fold = { fold: referenceFold, totals: referenceTotals };

/** All cuts for short workloads; in the normal form some for long ones, at some operations. */
function optionsFor(steps: readonly WriterStep[]) {
  const someOnly = steps.length > 5 ? { cuts: someCuts } : {};
  return { normal: { every: 3, doubleEvery: 149, ...someOnly }, full: { doubleEvery: 61 } };
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
  const count = new FullCount(name, { weight: steps.length });
  Deno.test(`Commit logs survive a crash at every point: ${name}`, async () => {
    const subject = counterSubject(name, { steps: () => steps, fold });
    const explored = await exploreCounted(subject, count, optionsFor(steps));
    assert(explored.moments > 20, "the work touches the disk");
    assert(count.isShort || explored.doubleImages > 0, "recovery was crashed too");
  });
}

const firstStart = new FullCount("first start", { weight: 4 });

Deno.test("Commit logs survive a crash at every point of the first start", async () => {
  const subject = counterSubject("first start", {
    steps: () => [append("one"), sync],
    fold,
    fromNothing: true,
  });
  const explored = await exploreCounted(subject, firstStart, {
    normal: { every: 3, doubleEvery: 149 },
    full: { doubleEvery: 29 },
  });
  assert(explored.moments > 60, "making the directory touches the disk");
});

const poolGrowth = new FullCount("growth of the pool", { weight: 6 });

Deno.test("Commit logs survive a crash at every point while the pool grows", async () => {
  const subject = counterSubject("growth", { steps: () => growth, fold });
  await exploreCounted(subject, poolGrowth, optionsFor(growth));
});

const halfMadeSlot = new FullCount("half-made slot", { weight: 6 });

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
  await exploreCounted(subject, halfMadeSlot, optionsFor(growth));
});

const lives = new FullCount("commit log lives", { weight: 4 });

Deno.test("Commit logs survive random lives", async () => {
  const seed = seedForTest("commit log lives");
  let crashes = 0;
  let rounds = 0;
  for (const round of lives.rounds(300, 5000)) {
    rounds++;
    const random = new Random(seed + round);
    const subject = counterSubject("lives", { steps: randomWriterSteps, fold, random });
    crashes += await randomLives(subject, random, 5);
  }
  assert(crashes > rounds || lives.isShort, `only ${crashes} crashes`);
});

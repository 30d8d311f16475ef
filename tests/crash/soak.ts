/**
 * The long version of the crash tests:
 *
 *     deno task soak --minutes 60 [--seed N] [--seeds N] [--cycles N]
 *
 * Random lives on the simulated disk and SIGKILL cycles on real daemons take turns until the time is over
 * and the requested numbers are reached. A failure prints its seed and ends with exit code 1; the seed
 * repeats the run.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Random } from "../support/random.ts";
import { writeAct } from "../database/crash_plans.ts";
import { type Act, databaseSubject } from "../database/crash_subject.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { counterSubject, randomWriterSteps } from "./counter_subject.ts";
import { randomLives } from "./explore.ts";
import { type KillCounts, KillHarness } from "./kill_harness.ts";
import { randomTableSteps, tableSubject } from "./table_subject.ts";
import { workerFold } from "./worker_fold.ts";

const LIVES = 6;
const SEEDS_A_TURN = 500;
const CYCLES_A_TURN = 50;
/** Cycles after which the kill harness begins with a new data directory. */
const CYCLES_A_DIRECTORY = 400;

interface Totals {
  seeds: number;
  crashes: number;
  cycles: number;
  kills: number;
  pointKills: number;
  conserved: number;
  reads: number;
}

/** Runs one random history of each of the nouns. */
async function runSeed(seed: number): Promise<number> {
  const random = new Random(seed);
  switch (seed % 4) {
    case 0:
      return await randomLives(tableSubject("tables", randomTableSteps, random), random, LIVES);
    case 1:
      return await randomLives(databaseSubject(randomDatabasePlan(random)), random, LIVES);
    default: {
      const work = { steps: randomWriterSteps, fold: workerFold, random };
      return await randomLives(counterSubject("counters", work), random, LIVES);
    }
  }
}

function randomDatabasePlan(random: Random) {
  const acts = Array.from(
    { length: random.between(3, 15) },
    (): Act =>
      random.chance(0.15) ? { call: random.pick(["snapshot", "reopen"]) } : writeAct(
        random.pick(["a", "b", "ü"]),
        String(random.next32()).repeat(random.pick([1, 5, 900])),
      ),
  );
  return { name: "db", sync: random.pick(["always", "interval"] as const), acts };
}

function add(totals: Totals, counts: KillCounts): void {
  totals.cycles += counts.cycles;
  totals.kills += counts.kills;
  totals.pointKills += counts.pointKills;
  totals.conserved += counts.conserved;
  totals.reads += counts.reads;
}

async function soak(options: { minutes: number; seed: number; seeds: number; cycles: number }) {
  const start = performance.now();
  const totals: Totals = {
    seeds: 0,
    crashes: 0,
    cycles: 0,
    kills: 0,
    pointKills: 0,
    conserved: 0,
    reads: 0,
  };
  const isOver = () =>
    performance.now() - start > options.minutes * 60_000 && totals.seeds >= options.seeds &&
    totals.cycles >= options.cycles;
  while (!isOver()) {
    await withTemporaryDirectory(async (directory) => {
      const random = new Random(options.seed + totals.cycles);
      await using harness = await KillHarness.start({ random, directory });
      while (!isOver() && harness.counts.cycles < CYCLES_A_DIRECTORY) {
        for (let seed = 0; seed < SEEDS_A_TURN; seed++) {
          totals.crashes += await runSeed(options.seed + totals.seeds++);
        }
        for (let cycle = 0; cycle < CYCLES_A_TURN; cycle++) await harness.cycle();
        await harness.verify({ resume: true });
        const now = { ...totals };
        add(now, harness.counts);
        const minutes = ((performance.now() - start) / 60_000).toFixed(1);
        console.log(JSON.stringify({ minutes, ...now }));
      }
      add(totals, harness.counts);
    });
  }
  console.log(
    JSON.stringify({ seed: options.seed, result: "nothing lost, nothing twice", ...totals }),
  );
}

if (import.meta.main) {
  const given = parseArgs(Deno.args, { string: ["minutes", "seed", "seeds", "cycles"] });
  const seed = Number(given.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`soak: --seed ${seed}`);
  await soak({
    minutes: Number(given.minutes ?? 10),
    seed,
    seeds: Number(given.seeds ?? 0),
    cycles: Number(given.cycles ?? 0),
  });
}

/**
 * Crashes on the simulated disk. Short sequences of calls are crashed before and after every persistence
 * operation, by SIGKILL and by several power cuts. The recovery is crashed again.
 */

import { assert } from "@std/assert";
import { exploreCounted, randomLives } from "../crash/explore.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { plans, writeAct } from "./crash_plans.ts";
import { type Act, type DatabasePlan, databaseSubject } from "./crash_subject.ts";
import { setOf } from "./model.ts";

for (const plan of Object.values(plans)) {
  const count = new FullCount(plan.name);
  Deno.test(`No crash loses or doubles: ${plan.name}`, async () => {
    const explored = await exploreCounted(databaseSubject(plan), count, {
      normal: { doubleEvery: 97 },
      full: { doubleEvery: 1 },
    });
    assert(count.isShort || explored.images > 20, `${explored.images} images`);
    console.log(
      `${plan.name}: ${explored.points} points, ${explored.images} disks, ` +
        `${explored.doubleImages} after a second crash`,
    );
  });
}

const lives = new FullCount("database lives", { weight: 4 });

Deno.test("Processes that crash one after the other never lose an acknowledged change", async () => {
  const random = new Random(seedForTest("database lives"));
  let crashes = 0;
  for (const _ of lives.rounds(12, 400)) {
    const seeded = new Random(random.next32());
    crashes += await randomLives(databaseSubject(randomPlan(seeded)), seeded, 6);
  }
  assert(lives.isShort || crashes > 0, "no life was ended by a crash");
});

function randomPlan(random: Random): DatabasePlan {
  const acts: Act[] = [];
  for (let index = 0; index < 12; index++) {
    const key = random.pick(["a", "b", "ü"]);
    const value = `${index}`.repeat(random.pick([1, 5, 900]));
    const chance = random.fraction();
    if (chance < 0.6) acts.push(writeAct(key, value));
    else if (chance < 0.75) acts.push({ call: "append", entries: [setOf(key, value, 2n)] });
    else if (chance < 0.9) acts.push({ call: "snapshot" });
    else acts.push({ call: "reopen" });
  }
  return { name: `random ${random.seed}`, sync: random.pick(["always", "os"]), acts };
}

/** Tables: every persistence point of short workloads, then random lives. */

import { assert } from "@std/assert";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { explore, randomLives } from "./explore.ts";
import { randomTableSteps, type TableStep, tableSubject } from "./table_subject.ts";

const workloads: Readonly<Record<string, readonly TableStep[]>> = {
  "set a new key": [["set", "", "a", "one"]],
  "replace a key": [["set", "", "a", "one"], ["set", "", "a", "two"]],
  "make a table below a table": [["create", "t/u", "a", "one"]],
  "create over an existing key": [["set", "t", "a", "one"], ["create", "t", "a", "two"]],
  "update and delete": [["set", "t", "a", "1"], ["update", "t", "a", "2"], [
    "delete",
    "t",
    "a",
    "",
  ]],
  "delete and create again": [["set", "", "a", "1"], ["delete", "", "a", ""], [
    "create",
    "",
    "a",
    "2",
  ]],
};

for (const [name, steps] of Object.entries(workloads)) {
  Deno.test(`Table survives a crash at every point: ${name}`, async () => {
    const explored = await explore(tableSubject(name, () => steps), { doubleEvery: 7 });
    assert(explored.points > 10, "the work touches the disk");
    assert(explored.doubleImages > 0, "recovery was crashed too");
  });
}

const lives = new FullCount("table lives");

Deno.test("Table survives random lives", async () => {
  const seed = seedForTest("table lives");
  let crashes = 0;
  let rounds = 0;
  for (const round of lives.rounds(300, 5000)) {
    rounds++;
    const random = new Random(seed + round);
    crashes += await randomLives(tableSubject("lives", randomTableSteps, random), random, 4);
  }
  assert(crashes > rounds || lives.isShort, `only ${crashes} crashes`);
});

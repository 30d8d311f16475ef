/**
 * D19 and D20 on the simulated disk: every persistence operation of a few short pieces of work is
 * crashed before and after, by SIGKILL and by several power cuts, and recovery is crashed again.
 */

import { assert } from "@std/assert";
import { explore, randomLives } from "../crash/explore.ts";
import { Random, seedForTest } from "../support/random.ts";
import { type Act, type DatabasePlan, databaseSubject } from "./crash_subject.ts";
import { Model, setOf } from "./model.ts";

const isLong = Deno.env.get("COUNTD_TEST_LONG") !== undefined;

function write(key: string, value: string): Act {
  return { call: "write", key, value };
}

const converted = new Model();
converted.map.set("kept", "<b>");
for (const value of ["one", "two"]) converted.take({ call: "write", key: "x", value });

const plans: readonly DatabasePlan[] = [
  {
    name: "sets on a database that stands",
    prepared: [write("x", "a long first value ".repeat(8))],
    acts: [write("x", "short"), write("y", "1")],
  },
  { name: "the first open and a set", acts: [write("x", "1")] },
  {
    name: "a set, a snapshot, and a set",
    prepared: [write("x", "1"), { call: "snapshot" }],
    acts: [write("x", "2"), { call: "snapshot" }, write("y", "3")],
  },
  {
    name: "entries replaced and committed",
    prepared: [
      { call: "append", entries: [setOf("a", "1", 1n), setOf("b", "2", 1n), setOf("c", "3", 2n)] },
    ],
    acts: [
      {
        call: "set",
        entries: [setOf("a", "1", 1n), setOf("d", "4", 3n), setOf("e", "5", 3n)],
      },
      { call: "commit", length: 2 },
    ],
  },
  {
    name: "files of the original and a set",
    files: {
      map: '{"kept":"\\u003cb\\u003e","x":"old"}',
      log: '[{"Command":"SET","Key":"x","Value":"one","Term":0},' +
        '{"Command":"SET","Key":"x","Value":"two","Term":0}]\0\0',
    },
    base: converted,
    acts: [write("y", "3")],
  },
  {
    name: "sets that a flush made durable",
    sync: "os",
    prepared: [write("x", "1")],
    acts: [write("x", "2"), write("y", "3"), { call: "reopen" }, write("z", "4")],
  },
];

for (const plan of plans) {
  Deno.test(`D19, D20 No crash loses or doubles: ${plan.name}`, async () => {
    const explored = await explore(databaseSubject(plan), { doubleEvery: isLong ? 1 : 97 });
    assert(explored.images > 20, `${explored.images} images`);
    console.log(
      `${plan.name}: ${explored.points} points, ${explored.images} disks, ` +
        `${explored.doubleImages} after a second crash`,
    );
  });
}

Deno.test("D20 Lives that end by a crash, one after the other, never lose what was acknowledged", async () => {
  const random = new Random(seedForTest("database lives"));
  let crashes = 0;
  for (let round = 0; round < (isLong ? 400 : 12); round++) {
    const seeded = new Random(random.next32());
    crashes += await randomLives(databaseSubject(randomPlan(seeded)), seeded, 6);
  }
  assert(crashes > 0, "no life was ended by a crash");
});

function randomPlan(random: Random): DatabasePlan {
  const acts: Act[] = [];
  for (let index = 0; index < 12; index++) {
    const key = random.pick(["a", "b", "ü"]);
    const value = `${index}`.repeat(random.pick([1, 5, 900]));
    const chance = random.fraction();
    if (chance < 0.6) acts.push(write(key, value));
    else if (chance < 0.75) acts.push({ call: "append", entries: [setOf(key, value, 2n)] });
    else if (chance < 0.9) acts.push({ call: "snapshot" });
    else acts.push({ call: "reopen" });
  }
  return { name: `random ${random.seed}`, acts };
}

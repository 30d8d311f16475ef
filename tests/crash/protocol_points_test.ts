/**
 * Every numbered step of the protocol, crashed just before and just after it. The steps and their fault
 * points are read from the README that specifies them, so every step has a test.
 */

import { assert, assertEquals } from "@std/assert";
import type { DiskEvent } from "../support/simulated_disk.ts";
import { counterSubject, type WriterStep } from "./counter_subject.ts";
import { explore, exploreCounted } from "./explore.ts";
import { workerFold } from "./worker_fold.ts";
import { FullCount } from "../support/full_count.ts";

interface Step {
  /** As the README numbers it, such as `Claim 3`. */
  readonly name: string;
  readonly what: string;
  readonly points: readonly string[];
}

const decoder = new TextDecoder();
const readText = (path: string) =>
  decoder.decode(Deno.readFileSync(new URL(`../../${path}`, import.meta.url)));

/** Rows `| Claim 3 | what | points |` of the table below "The protocol". */
function stepsOf(readme: string): Step[] {
  const steps: Step[] = [];
  for (const line of readme.split("\n")) {
    const cells = line.split("|").map((cell) => cell.trim());
    const [, name = "", what = "", points = ""] = cells;
    if (!/^[A-Z][a-z]+ [0-9]$/.test(name)) continue;
    steps.push({
      name,
      what,
      points: [...points.matchAll(/`([^`]+)`/g)].map(([, point]) => point!),
    });
  }
  return steps;
}

const steps = stepsOf(readText("src/counters/commitlog/README.md"));

/** Inside Fold 4: the logs that are not known to be durable. */
const logSync = ["fold.4.logs.before", "fold.4.logs.after"];

/** The steps of Fold; the worker and the keyspaces reach their fault points. */
const foldSteps: readonly Step[] = [
  ["Fold 1", "lease newly taken: syncfs before any keyspace is trusted"],
  ["Fold 2", "lock and verify the sealed logs, drop what is applied, sum"],
  ["Fold 3", "new pages of every keyspace, never over live ones"],
  ["Fold 4", "sync A"],
  ["Fold 5", "the older meta page; new files get their names"],
  ["Fold 6", "sync B, with the directory"],
].map(([name = "", what = ""]) => {
  const point = name.toLowerCase().replace(" ", ".");
  return { name, what, points: [`${point}.before`, `${point}.after`] };
}).concat({ name: "Fold 4, logs", what: "sync of the logs", points: logSync });

const append = (...keyspaces: string[]): WriterStep => ({ do: "append", keyspaces });
const seal: WriterStep = { do: "seal", sync: true };

/** Passes through every step: the pool grows, slots are used again, keyspaces are new and old. */
const everyStep: readonly WriterStep[] = [
  append("one", "two"),
  { do: "sync" },
  seal,
  append("one"),
  seal,
  append("two"),
  seal,
  { do: "fold" },
  append("two", "three"),
  append("one"),
  { do: "sync" },
  seal,
  { do: "fold" },
];

/** As with `--sync os`: nothing but the fold syncs the log. */
const withoutSync: readonly WriterStep[] = [
  append("one"),
  { do: "seal", sync: false },
  { do: "fold" },
];

/** A log whose writer died, so that recovery is a part of the work. */
const afterDeath: readonly WriterStep[] = [
  append("one"),
  { do: "sync" },
  { do: "die" },
  append("two"),
  seal,
];

function subjectFor(name: string, workload: readonly WriterStep[]) {
  return counterSubject(name, { steps: () => workload, fold: workerFold, logs: 2 });
}

Deno.test("The README lists fault points before and after every step of the protocol", () => {
  const names = steps.map((step) => step.name);
  for (
    const [group, count] of [["Create", 4], ["Claim", 4], ["Append", 3], ["Seal", 4], [
      "Recover",
      3,
    ], ["Recycle", 2]] as const
  ) {
    for (let number = 1; number <= count; number++) assert(names.includes(`${group} ${number}`));
  }
  for (const { name, points } of steps) {
    const stem = name.toLowerCase().replace(" ", ".");
    assertEquals(points, [`${stem}.before`, `${stem}.after`], name);
  }
});

for (const { name, what, points } of [...steps, ...foldSteps]) {
  const counts = Object.entries({
    "every step": everyStep,
    "after death": afterDeath,
    "os": withoutSync,
  }).map(([title, workload]) => ({
    workload,
    count: new FullCount(`${name}, ${title}`),
  }));
  Deno.test(`${name} (${what}) survives a crash before and after it`, async () => {
    const reached = new Set<string>();
    const at = (event: DiskEvent) => event.point !== null && points.includes(event.point);
    for (const { workload, count } of counts) {
      const explored = await exploreCounted(subjectFor(count.name, workload), count, {
        normal: { at, doubleEvery: 997 },
        full: { at, doubleEvery: 29 },
      });
      if (explored.points > 0) { for (const point of explored.reached) reached.add(point); }
    }
    const isShort = counts.some(({ count }) => count.isShort);
    for (const point of points) assert(isShort || reached.has(point), `nothing reaches ${point}`);
  });
}

Deno.test("Every fault point of logs, keyspaces and worker belongs to a numbered step", async () => {
  const reached = new Set<string>();
  for (const workload of [everyStep, afterDeath]) {
    const explored = await explore(subjectFor("all points", workload), {
      cuts: [],
      at: (event) => event.point !== null,
    });
    for (const point of explored.reached) reached.add(point);
  }
  const known = new Set([...steps, ...foldSteps].flatMap((step) => step.points));
  // Inside Fold 4: the sync of the logs. Inside Fold 5: between the two places of the meta block, and before the name of a new file.
  for (const inner of ["fold.5.between", "fold.5.rename", ...logSync]) known.add(inner);
  assertEquals([...reached].filter((point) => !known.has(point)), []);
  assertEquals([...known].filter((point) => !reached.has(point)), []);
});

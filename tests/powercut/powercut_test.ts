/**
 * Power cuts on a real file system: a short run of each kind, and a test of the test: a removed sync must
 * be found. `deno task powercut` is the long form.
 */

import { assert, assertEquals } from "@std/assert";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { PLANTED_BUGS } from "./planted_main.ts";
import { buildRecorder, MEMORY, whatIsMissing } from "./recorded_disk.ts";
import { type Order, orderOf, type RoundOptions, type RoundReport, runRound } from "./round.ts";

/** Workloads and file systems, each with each. */
const cuts = new FullCount("power cuts", { weight: 3 });
const removedSyncs = new FullCount("removed syncs");

/** Rounds in which a planted bug must be found. */
const ROUNDS_MAX = 4;

type Run = (options: Order & Partial<RoundOptions>) => Promise<RoundReport>;

/** Calls `body` with what runs a round; not without root and the tools. */
async function withRecorder(body: (run: Run, directory: string) => Promise<void>): Promise<void> {
  const missing = await whatIsMissing();
  if (missing !== null) return console.log(missing);
  await withTemporaryDirectory(async (directory) => {
    const recorder = await buildRecorder(directory);
    const run: Run = (options) =>
      withTemporaryDirectory(
        (own) => runRound({ images: 12, durationMs: 1500, ...options, directory: own, recorder }),
        MEMORY,
      );
    await body(run, directory);
  }, MEMORY);
}

function failuresOf(report: RoundReport): string[] {
  return report.failures.flatMap(({ cut, problems }) =>
    problems.map((problem) => `cut ${cut.at}, ${cut.survival}: ${problem}`)
  );
}

Deno.test("After a power cut nothing that was answered is lost, doubled or invented", async () => {
  const seed = seedForTest("power cuts") % 2 ** 30;
  await withRecorder(async (run) => {
    for (const round of cuts.rounds(1, 32)) {
      const order = orderOf(seed + round);
      const report = await run(order);
      assertEquals(failuresOf(report), [], JSON.stringify(order));
      assert(report.images > 0 && report.answers > 0, "There is something to compare");
    }
  });
});

/** Runs countd with one bug until an image shows it. On ext4, because xfs syncs more than it is asked to. */
async function findBug(run: Run, directory: string, bug: string): Promise<void> {
  const binary = `${directory}/planted`;
  const script = decodeURIComponent(new URL("planted_main.ts", import.meta.url).pathname);
  const command = `${Deno.execPath()} run --quiet -A --no-check --cached-only ${script}`;
  Deno.writeTextFileSync(binary, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  for (let seed = 1; seed <= ROUNDS_MAX; seed++) {
    const report = await run({
      workload: "steps",
      mode: "ext4",
      seed,
      images: 40,
      isFirstFailureEnough: true,
      options: { binary, env: { POWERCUT_BUG: bug } },
    });
    const [found] = failuresOf(report);
    if (found === undefined) continue;
    return console.log(`${bug}: image ${report.images} of round ${seed}: ${found.slice(0, 200)}`);
  }
  throw new Error(`No image shows that countd does without ${bug}`);
}

Deno.test("A removed sync is found", async () => {
  const bugs = Object.keys(PLANTED_BUGS);
  const chosen = new Random(seedForTest("removed syncs")).pick(bugs);
  await withRecorder(async (run, directory) => {
    for (const bug of removedSyncs.choices(bugs, (bug) => bug === chosen)) {
      await findBug(run, directory, bug);
    }
  });
});

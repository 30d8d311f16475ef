/** The largest pool: claims and refreshes stay short, because each holds the event loop of a daemon. */

import { assert, assertEquals } from "@std/assert";
import { cpuUsage } from "node:process";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { SLOTS_MAX } from "../../../src/base/pool_defaults.ts";
import { LogPool } from "../../../src/counters/commitlog/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import { batchOf, claim, smallLogSize, withDataDirectory } from "../../support/data_directory.ts";

/** No step may take more processor time than this: other connections wait for it. */
const STEP_MS_MAX = 20;
const ROUNDS = 5;

function processorMs(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1000;
}

/** The least processor time of a few runs: a pause of the collector must not fail the test. */
async function leastMs(step: () => unknown): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = processorMs();
    await step();
    least = Math.min(least, processorMs() - startMs);
  }
  return least;
}

/** The longest of the turns in which the event loop was held until `work` was done. */
async function longestTurnMs(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let startMs = processorMs();
  let isOver = false;
  const done = work().then(() => isOver = true);
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    longest = Math.max(longest, processorMs() - startMs);
    startMs = processorMs();
  }
  await done;
  return longest;
}

Deno.test("A pool of 1,024 slots is claimed, searched and read without a long step", async () => {
  await withDataDirectory(async ({ directory }) => {
    const backlogBytes = SLOTS_MAX * smallLogSize;
    const pool = new LogPool(directory, { logs: SLOTS_MAX, backlogBytes, clock: systemClock });
    await pool.prepare();
    const steps: Record<string, number> = {};
    steps["search of a free pool"] = await leastMs(() => assert(pool.hasFreeSlot()));
    const active = await claim(pool);
    for (let slot = 1; slot < SLOTS_MAX; slot++) {
      const log = await claim(pool);
      log.append(batchOf([["ks", `key ${slot}`, 1n]]));
      await log.seal({ sync: false });
    }
    steps["claim in a full pool"] = await leastMs(async () => {
      assertEquals(await pool.claim(), "backlog");
    });
    steps["search of a full pool"] = await leastMs(() => assert(!pool.hasFreeSlot()));

    const prepares: number[] = [];
    const firsts: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const reader = new Reader(directory, { stale: false, clock: systemClock, events: noEvents });
      prepares.push(await longestTurnMs(() => reader.prepare()));
      const startMs = processorMs();
      reader.refresh();
      firsts.push(processorMs() - startMs);
      active.append(batchOf([["ks", `round ${round}`, 1n]]));
      if (round === ROUNDS - 1) {
        const name = new TextEncoder().encode("ks");
        assertEquals(
          reader.ask(name, (ranking) => ranking.total()),
          SLOTS_MAX - 1 + round,
          "a reader that has not looked again does not see the last frame",
        );
        steps["refresh without a change"] = await leastMs(() => reader.refresh());
        steps["refresh after an append"] = await leastMs(() => {
          active.append(batchOf([["ks", "again", 1n]]));
          reader.refresh();
        });
      }
      reader[Symbol.dispose]();
    }
    steps["a step of the preparation"] = Math.min(...prepares);
    steps["first refresh"] = Math.min(...firsts);
    await active.seal({ sync: false });
    for (const [step, ms] of Object.entries(steps)) {
      assert(ms < STEP_MS_MAX, `${step}: ${ms.toFixed(1)} ms of processor time`);
    }
  });
});

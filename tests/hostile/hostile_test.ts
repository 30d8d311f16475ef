/**
 * A good client beside one attacker of each kind. Its worst wait stays below a second, or two where the attack
 * itself needs the processor. A normal run tries each attacker for a moment, against all of its ports at once,
 * and allows twice as much, because the machine may do other work. With COUNTD_TEST_LONG each attacks each port
 * alone, and a table of the waits is printed.
 */

import { assert } from "@std/assert";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { within } from "../support/wait.ts";
import { ATTACKERS } from "./attackers.ts";
import type { Port } from "./ports.ts";
import { pause } from "./raw.ts";
import { assertServed, GoodClient, startBeside, World } from "./world.ts";

const isLong = Deno.env.get("COUNTD_TEST_LONG") !== undefined;
/** An attack lasts so long before the waits are measured. */
const WARM_MS = isLong ? 3000 : 100;
const BOUND_MS = isLong ? 1000 : 2000;
/** For the memory of all daemons after all attacks: bounds of output, bodies and views, and what is not collected. */
const MEMORY_MIB_MAX = 900;

/** Rounds of one attacker: all of its ports at once, or each alone. */
function rounds(against: readonly string[], ports: readonly Port[]): Port[][] {
  const attacked = ports.filter(({ protocol }) => against.includes(protocol));
  return isLong ? attacked.map((port) => [port]) : [attacked];
}

Deno.test("No attacker delays a good client, and none leaves anything behind", async (test) => {
  await withTemporaryDirectory(async (directory) => {
    await using world = await World.start(directory);
    await using good = await GoodClient.start(world.ports);
    assertServed("alone", await good.waits(2 * BOUND_MS), { boundMs: BOUND_MS });
    for (const attacker of ATTACKERS) {
      const { name, against, needsProcessor, takesAllPlaces } = attacker;
      for (const attacked of rounds(against, world.ports)) {
        const names = attacked.map((port) => port.name);
        await test.step(`${name}: ${names.join(", ")}`, async () => {
          const before = world.descriptors();
          await using process = startBeside("attacker.ts", name, JSON.stringify(attacked));
          await process.stdoutLine(/^ready$/);
          const boundMs = needsProcessor ? 2 * BOUND_MS : BOUND_MS;
          await pause(WARM_MS);
          const waits = await good.waits(boundMs + 1000);
          const isRefused = (question: string) =>
            takesAllPlaces === true && question.includes("new connection") &&
            names.some((port) => question.startsWith(`${port} `));
          if (isLong) {
            for (const [question, { p50, p99, worst }] of Object.entries(waits)) {
              const times = [p50, p99, worst].map((ms) => ms.toFixed(1)).join(" | ");
              console.log(`| ${name} | ${names.join(", ")} | ${question} | ${times} |`);
            }
          }
          console.log(`longest turn so far: ${(await world.longestTurnMs()).toFixed(1)} ms`);
          assertServed(name, waits, { boundMs, isRefused });
          await process.kill();
          await world.recover(before);
        });
      }
    }
    const memory = world.memory();
    assert(Math.max(...memory) < MEMORY_MIB_MAX, `${memory.map(Math.round)} MiB`);
    // While some attack, a stop is heard.
    const attacks = ["increments without end", "pipelines ranks", "one byte a second"]
      .map((name) => startBeside("attacker.ts", name, JSON.stringify(world.ports)));
    try {
      for (const attack of attacks) await attack.stdoutLine(/^ready$/);
      await good[Symbol.asyncDispose]();
      await within("the stop", world.stop(), { deadlineMs: 30_000 });
    } finally {
      for (const attack of attacks) await attack[Symbol.asyncDispose]();
    }
  });
});

/**
 * A good client beside one attacker of each kind. Its worst wait stays below a second, or two where the attack
 * itself needs the processor. A normal run tries each attacker for a moment, against all of its ports at once,
 * and allows twice as much, because the machine may do other work. In the full count each attacks each port
 * alone, too, and a table of the waits is printed.
 */

import { assert } from "@std/assert";
import { FullCount } from "../support/full_count.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { within } from "../support/wait.ts";
import { ATTACKERS } from "./attackers.ts";
import type { Port } from "./ports.ts";
import { pause } from "./raw.ts";
import { assertServed, GoodClient, startBeside, World } from "./world.ts";

const count = new FullCount("attackers and ports");
/** An attack lasts so long before the waits are measured. */
const WARM_MS = count.isLong ? 1000 : 100;
const BOUND_MS = count.isLong ? 1000 : 2000;
/** For the memory of all daemons after all attacks: bounds of output, bodies and views, and what is not collected. */
const MEMORY_MIB_MAX = 900;

interface Attack {
  readonly attacker: typeof ATTACKERS[number];
  readonly attacked: readonly Port[];
}

/** Every attacker: against all of its ports at once, which is the normal form, and against each alone. */
function allAttacks(ports: readonly Port[]): { together: Set<Attack>; all: Attack[] } {
  const together = new Set<Attack>();
  const all = ATTACKERS.flatMap((attacker): Attack[] => {
    const attacked = ports.filter(({ protocol }) => attacker.against.includes(protocol));
    const atOnce = { attacker, attacked };
    together.add(atOnce);
    return [atOnce, ...attacked.map((port) => ({ attacker, attacked: [port] }))];
  });
  return { together, all };
}

Deno.test("No attacker delays a good client, and none leaves anything behind", async (test) => {
  await withTemporaryDirectory(async (directory) => {
    await using world = await World.start(directory);
    await using good = await GoodClient.start(world.ports);
    assertServed("alone", await good.waits(2 * BOUND_MS), { boundMs: BOUND_MS });
    const { together, all } = allAttacks(world.ports);
    for (const attack of count.choices(all, (attack) => together.has(attack))) {
      const { attacker: { name, needsProcessor, takesAllPlaces }, attacked } = attack;
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
        if (count.isLong) {
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

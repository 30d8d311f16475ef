/** kill -9 at named moments, on real processes. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { listSlots } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import {
  assertOnes,
  assertSound,
  foldEverything,
  sendOnes,
  startWorker,
  startWriter,
  storedCounters,
} from "./real_directory.ts";

const keyspaces = ["one", "two", "three"];

Deno.test("An increment that was answered with WIN survives kill -9 of the writer", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    for (let round = 0; round < 3; round++) {
      await using writer = startWriter(data);
      const { port } = await writer.listening();
      const sent = await sendOnes(port, { prefix: `r${round}`, count: 200, keyspaces });
      assertEquals(sent.acknowledged, 200);
      await writer.kill();
      await foldEverything(data);
      assertEquals(assertOnes(storedCounters(data), { prefix: `r${round}`, sent, keyspaces }), 200);
    }
    assertSound(data);
  });
});

/**
 * Moments at which a worker dies in the middle of a fold, and their fault points. New keyspaces reach them in
 * the first round, keyspaces that exist in the second.
 */
const workerDeaths: readonly (readonly [moment: string, point: string, round?: 1])[] = [
  ["between two keyspaces, with pages written", "fold.3.after#1"],
  ["between two keyspaces, with pages durable", "fold.4.after#1"],
  ["between two keyspaces, with the first one published", "fold.5.after#1"],
  ["inside the publishing of one keyspace", "fold.5.between#2", 1],
  ["before the name of a new keyspace", "fold.5.rename#2"],
  ["after the fold, before recycling", "recycle.1.before#1"],
  ["after the fold, between two logs", "recycle.2.after#1"],
];

for (const [moment, point, deadly = 0] of workerDeaths) {
  Deno.test(`Counts are exact after kill -9 of the worker ${moment}`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      const counts = [];
      for (let round = 0; round < 2; round++) {
        await using writer = startWriter(data);
        const { port } = await writer.listening();
        const prefix = `r${round}`;
        counts.push({ prefix, sent: await sendOnes(port, { prefix, count: 2500, keyspaces }) });
        assertEquals(await writer.stop(), 0);
        if (round < deadly) await foldEverything(data);
        if (round === deadly) {
          await using worker = startWorker(data, { fault: `kill@${point}` });
          assertEquals((await worker.ended()).signal, "SIGKILL", `${point} was not reached`);
          // The remains of a dead process are not corruption.
          const check = await runCountd(["check", `--data=${data}`]);
          assertEquals(check.code, 0, check.text);
          if (point.startsWith("fold")) assertMatch(check.stderr, /left behind/);
        }
      }
      await foldEverything(data);
      const stored = storedCounters(data);
      for (const { prefix, sent } of counts) {
        assertEquals(assertOnes(stored, { prefix, sent, keyspaces }), 2500);
      }
      assertEquals(stored.size, 5000);
      assertSound(data);
    });
  });
}

Deno.test("Counts are exact after kill -9 of writer and worker at once, and every slot is usable", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const counts = [];
    {
      await using writer = startWriter(data);
      const { port } = await writer.listening();
      await using worker = startWorker(data);
      await worker.stderrLine(/worker ready/);
      const sending = sendOnes(port, { prefix: "first", count: 20_000, keyspaces });
      await worker.stderrLine(/event=folded/);
      writer.signal("SIGKILL");
      worker.signal("SIGKILL");
      counts.push({ prefix: "first", sent: await sending });
    }
    await foldEverything(data);
    const storage = systemStorage();
    const before = listSlots(storage, `${data}/logs`).slots;
    await using writer = startWriter(data);
    const { port } = await writer.listening();
    // Enough increments to pass through all slots; the worker keeps them free.
    await using worker = startWorker(data);
    await worker.stderrLine(/worker ready/);
    const sent = await sendOnes(port, { prefix: "second", count: 20_000, keyspaces });
    assertEquals(sent.acknowledged, 20_000);
    counts.push({ prefix: "second", sent });
    assertEquals(await writer.stop(), 0);
    assertEquals(await worker.stop(), 0);
    await foldEverything(data);
    const stored = storedCounters(data);
    for (const { prefix, sent } of counts) assertOnes(stored, { prefix, sent, keyspaces });
    const after = listSlots(storage, `${data}/logs`).slots;
    assert(before.every((slot) => after.includes(slot)), "a slot is never deleted");
    for (const slot of after) {
      const { mode, links } = storage.status(`${data}/logs/${String(slot).padStart(10, "0")}`);
      assertEquals([mode, links], [0o400, 1], `labels of slot ${slot}`);
    }
    assertSound(data);
  });
});

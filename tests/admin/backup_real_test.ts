/** Backup, check and restore with real daemons at work. */

import { assert, assertEquals, assertMatch } from "@std/assert";
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
} from "../crash/real_directory.ts";

const keyspaces = ["one", "two", "three"];

Deno.test("Backup under load holds all that was answered before it, once, and checks", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startWriter(data);
    const { port } = await writer.listening();
    await using worker = startWorker(data);
    await worker.stderrLine(/worker ready/);
    const before = await sendOnes(port, { prefix: "before", count: 5000, keyspaces });
    assertEquals(before.acknowledged, 5000);
    const during = sendOnes(port, { prefix: "during", count: 40_000, keyspaces });
    for (const name of ["first", "second"]) {
      const copy = `${directory}/${name}-copy`;
      const restored = `${directory}/${name}-data`;
      const backup = await runCountd(["backup", copy, `--data=${data}`]);
      assertEquals(backup.code, 0, backup.stderr);
      const check = await runCountd(["check", `--data=${data}`]);
      assertEquals(check.code, 0, check.text + check.stderr);
      const restore = await runCountd(["restore", copy, `--data=${restored}`]);
      assertEquals(restore.code, 0, restore.stderr);
      await foldEverything(restored);
      const stored = storedCounters(restored);
      assertEquals(assertOnes(stored, { prefix: "before", sent: before, keyspaces }), 5000);
      for (const [key, count] of stored) assertEquals(count, 1n, key);
      assertSound(restored);
      const again = await runCountd(["restore", copy, `--data=${restored}`]);
      assertEquals(again.code, 1, again.stderr);
      assertMatch(again.stderr, /not empty/);
    }
    const sent = await during;
    assertEquals(sent.acknowledged, 40_000);
    assertEquals(await writer.stop(), 0);
    assertEquals(await worker.stop(), 0);
    await foldEverything(data);
    const stored = storedCounters(data);
    assertEquals(assertOnes(stored, { prefix: "during", sent, keyspaces }), 40_000);
    assert(stored.size === 45_000, `${stored.size} counters`);
    assertSound(data);
  });
});

Deno.test("Check on damaged files exits 6 with a line, and repair makes them whole again", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startWriter(data);
    const { port } = await writer.listening();
    // Two connections, so that there are two frames at least; the first one is damaged.
    for (const prefix of ["a", "b"]) await sendOnes(port, { prefix, count: 500, keyspaces });
    assertEquals(await writer.stop(), 0);
    const log = [...Deno.readDirSync(`${data}/logs`)].map(({ name }) => `${data}/logs/${name}`)
      .find((path) => (Deno.statSync(path).mode ?? 0) % 0o1000 === 0o200) as string;
    Deno.chmodSync(log, 0o600);
    {
      using file = Deno.openSync(log, { read: true, write: true });
      file.seekSync(4200, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array([1, 2, 3, 4]));
    }
    Deno.chmodSync(log, 0o200);
    const check = await runCountd(["check", "--json", `--data=${data}`]);
    assertEquals(check.code, 6, check.stderr);
    const { violations } = JSON.parse(check.text);
    assertEquals([violations[0].noun, violations[0].invariant, violations[0].path], [
      "logs",
      5,
      log,
    ]);
    const worker = await runCountd(["worker", "--once", `--data=${data}`]);
    assertEquals(worker.code, 6, worker.stderr);
    const repair = await runCountd(["repair", `--data=${data}`]);
    assertEquals(repair.code, 0, repair.stderr);
    assertMatch(repair.text, /^logs\t.*saved [0-9]+ increments/m);
    await foldEverything(`${data}.repaired`);
    const saved = storedCounters(`${data}.repaired`);
    assert(saved.size >= 500, `only ${saved.size} of 1000 were saved`);
    assert(saved.size < 1000, "the damaged frame was left out");
    for (const [key, count] of saved) assertEquals(count, 1n, key);
    assertSound(`${data}.repaired`);
    const inPlace = await runCountd(["repair", "--in-place", `--data=${data}`]);
    assertEquals(inPlace.code, 0, inPlace.stderr);
    await foldEverything(data);
    assertEquals(storedCounters(data), saved);
    assertSound(data);
    const none = await runCountd(["repair", "--in-place", `--data=${directory}/none`]);
    assertEquals(none.code, 3);
    const both = await runCountd(["repair", "--in-place", "--out=x", `--data=${data}`]);
    assertEquals(both.code, 2);
  });
});

/** What check, repair and the next start say to what a first start left that was cut short. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

async function assertOnlyLeftOver(data: string): Promise<void> {
  const check = await runCountd(["check", "--data", data]);
  assertEquals([check.code, check.text], [0, ""], check.stderr);
  assertMatch(check.stderr, /^left behind: .*cut short/m);
  const repaired = await runCountd(["repair", "--in-place", "--data", data]);
  assertEquals([repaired.code, repaired.text], [0, ""], repaired.stderr);
}

async function assertSound(data: string): Promise<void> {
  const check = await runCountd(["check", "--data", data]);
  assertEquals([check.code, check.text], [0, ""], check.stderr);
  assert(!check.stderr.includes("left behind"), check.stderr);
}

// Story: check called it damage and sent to repair, though the next start simply went on with it.
Deno.test("Directories of a first start that was cut short are no damage to check", async () => {
  for (const made of [["logs"], ["logs", "keyspaces"]]) {
    await withTemporaryDirectory(async (temporary) => {
      const data = `${temporary}/data`;
      Deno.mkdirSync(data);
      for (const name of made) Deno.mkdirSync(`${data}/${name}`);
      await assertOnlyLeftOver(data);
      await using writer = startCountd(["write", "--data", data, "--port=0", "--log-size=65536"]);
      await writer.listening();
      assertEquals(await writer.stop(), 0);
      await assertSound(data);
    });
  }
});

Deno.test("Empty files of a database whose first start was cut short are no damage to check", async () => {
  for (const made of [["db.json"], ["db.json", "log"]]) {
    await withTemporaryDirectory(async (temporary) => {
      const data = `${temporary}/data`;
      Deno.mkdirSync(`${data}/db`, { recursive: true });
      for (const name of made) Deno.writeTextFileSync(`${data}/db/${name}`, "");
      await assertOnlyLeftOver(data);
      await using db = startCountd(["db", "--data", data, "--port=0"]);
      await db.listening();
      assertEquals(await db.stop(), 0);
      await assertSound(data);
    });
  }
});

Deno.test("A database that was killed between its two names is no damage to check", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const killed = await runCountd(["db", "--data", data, "--port=0"], {
      env: { COUNTD_FAULT: "kill@db.publish.log.after" },
    });
    assertEquals(killed.code, 137, killed.stderr);
    const check = await runCountd(["check", "--data", data]);
    assertEquals([check.code, check.text], [0, ""], check.stderr);
    assertMatch(check.stderr, /^left behind: .*cut short/m);
    await using db = startCountd(["db", "--data", data, "--port=0"]);
    await db.listening();
    assertEquals(await db.stop(), 0);
    await assertSound(data);
  });
});

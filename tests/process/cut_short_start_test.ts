/** check, repair and the next start, after a first start that was killed. */

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

// Story: check reported damage and advised to repair, although the next start just continued with it.
Deno.test("check does not report the directories of a killed first start as damage", async () => {
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

Deno.test("A control file that a killed first start was making is left over, and the next start removes it", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    for (const name of ["logs", "keyspaces"]) {
      Deno.mkdirSync(`${data}/${name}`, { recursive: true });
    }
    Deno.writeTextFileSync(`${data}/control.new-0123456789abcdef0123456789abcdef`, "");
    await assertOnlyLeftOver(data);
    await using writer = startCountd(["write", "--data", data, "--port=0", "--log-size=65536"]);
    await writer.listening();
    assertEquals(await writer.stop(), 0);
    const names = [...Deno.readDirSync(data)].map(({ name }) => name);
    assertEquals(names.filter((name) => name.startsWith("control")), ["control"]);
    await assertSound(data);
  });
});

Deno.test("check does not report the empty files of a killed first start of a database as damage", async () => {
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

Deno.test("check does not report a database that was killed between its two names as damage", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const killed = await runCountd(["db", "--data", data, "--port=0"], {
      env: { COUNTD_FAULT: "kill@db.publish.log.after" },
    });
    assertEquals(killed.code, 137, killed.stderr);
    const check = await runCountd(["check", "--data", data]);
    assertEquals([check.code, check.text], [0, ""], check.stderr);
    assertMatch(check.stderr, /^left behind: .*cut short/m);
    const backup = await runCountd(["backup", `${temporary}/copy`, "--data", data]);
    assertEquals(backup.code, 75, backup.stderr);
    assertMatch(
      backup.stderr,
      /cut short; the next start of countd db completes it\); then try again/,
    );
    await using db = startCountd(["db", "--data", data, "--port=0"]);
    await db.listening();
    assertEquals(await db.stop(), 0);
    await assertSound(data);
  });
});

/** What status reports at each stage of the data. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PoolSurvey } from "../../src/admin/mod.ts";
import { clockAt } from "../support/fixed_clock.ts";
import { capture } from "../cli/capture.ts";
import { statusJson, withUnfolded } from "../cli/effect_support.ts";
import { batchOf, claim, poolOn, withDataDirectory } from "../support/data_directory.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";

Deno.test("Before a fold the backlog counts the records, after it the keyspaces count the counters", async () => {
  await withUnfolded(async (data) => {
    const before = await statusJson(data);
    assertEquals(before.backlog.records, "3");
    assertEquals(before.logs, {
      free: "3",
      active: "0",
      sealed: "1",
      unfinished: "0",
      unreadable: "0",
    });
    assertEquals(before.keyspaces, { count: "0", counters: "0" });
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    const after = await statusJson(data);
    assertEquals(after.backlog, { records: "0", bytes: "0", seconds: 0 });
    assertEquals([after.logs.free, after.logs.sealed], ["4", "0"]);
    assertEquals(after.keyspaces, { count: "1", counters: "3" });
  });
});

Deno.test("status names the process that folds, and none after it has ended", async () => {
  await withUnfolded(async (data) => {
    assertEquals((await statusJson(data)).foldHolder, null);
    await using worker = startCountd(["worker", "--data", data]);
    await worker.stderrLine(/worker ready/);
    assertEquals((await statusJson(data)).foldHolder, `pid ${worker.pid}`);
    await worker.kill();
    assertEquals((await statusJson(data)).foldHolder, null);
    // It may have died in the middle of a fold: the next worker corrects the labels.
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
  });
});

Deno.test("status names a keyspace that the worker has in quarantine", async () => {
  await withUnfolded(async (data) => {
    const path = `${data}/keyspaces/${"pages"}`;
    Deno.writeTextFileSync(path, "this is not a keyspace");
    await using worker = startCountd(["worker", "--data", data]);
    await worker.stderrLine(/keyspace quarantined/);
    const troubles = await waitUntil("the worker's report", async () => {
      const status = await statusJson(data);
      return status.troubles.some((one: string) =>
          one.startsWith("keyspace pages is in quarantine")
        )
        ? status.troubles
        : null;
    });
    assert(troubles !== null);
    assertEquals(await worker.stop(), 0);
    // Without a daemon status still finds that the file is not a keyspace.
    const { code, stdout } = await capture(["status", "--data", data]);
    assertEquals(code, 0);
    assertStringIncludes(stdout, "trouble\t");
    assertStringIncludes(stdout, path);
    Deno.removeSync(path);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
  });
});

Deno.test("A repeated survey reads only new frames, and knows a log's age from when it was empty", async () => {
  await withDataDirectory(async ({ directory }) => {
    const pool = poolOn(directory);
    await pool.prepare();
    const log = await claim(pool);
    const clock = clockAt(Date.now() + 3_600_000);
    using survey = new PoolSurvey(directory, clock);
    assertEquals((await survey.take()).backlog, { records: 0, bytes: 0, seconds: 0 });
    clock.advance(10_000);
    log.append(batchOf([["pages", "a", 1n]]));
    const first = await survey.take();
    // Claimed an hour ago by the wall clock, but seen empty ten seconds ago.
    assertEquals([first.backlog.records, first.backlog.seconds], [1, 10]);
    log.append(batchOf([["pages", "b", 1n], ["pages", "c", 1n]]));
    clock.advance(5000);
    const second = await survey.take();
    assertEquals([second.backlog.records, second.backlog.seconds], [3, 15]);
    assertEquals(second.logs.active, 1);
    await log.seal({ sync: true });
    const third = await survey.take();
    assertEquals([third.backlog.records, third.logs.sealed], [3, 1]);
    assertEquals(third.backlog.bytes, second.backlog.bytes);
  });
});

Deno.test("A first survey knows a log's age only from its claim", async () => {
  await withDataDirectory(async ({ directory }) => {
    const pool = poolOn(directory);
    await pool.prepare();
    const log = await claim(pool);
    log.append(batchOf([["pages", "a", 1n]]));
    const clock = clockAt(Date.now() + 60_000);
    using survey = new PoolSurvey(directory, clock);
    const { backlog } = await survey.take();
    assert(backlog.seconds >= 60, `${backlog.seconds}`);
    await log.seal({ sync: true });
  });
});

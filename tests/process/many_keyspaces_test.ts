/** A worker that folds thousands of keyspaces hears a signal. */

import { assert, assertEquals } from "@std/assert";
import { Counters } from "../../src/counters/mod.ts";
import { checkData } from "../support/check_data.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

const KEYSPACES = 2000;
/** The promise is a second; this leaves time for a disk that many use. */
const STOP_MS_MAX = 5000;

function filesIn(data: string): number {
  return [...Deno.readDirSync(`${data}/keyspaces`)].filter(({ name }) => name[0] !== ".").length;
}

Deno.test("A worker in a fold of thousands of new keyspaces ends soon after SIGTERM, and the next one goes on", async () => {
  // Story: a fold of 3,000 new keyspaces heard the signal after 24 s.
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const names = Array.from({ length: KEYSPACES }, (_, number) => `keyspace-${number}`);
    {
      await using counters = await Counters.open(data, { sync: "os" });
      await counters.batch(names.map((keyspace) => ({ keyspace, key: "only" })));
    }
    await using worker = startCountd(["worker", "--data", data]);
    await worker.stderrLine(/worker ready/);
    await waitUntil("the first keyspaces", () => filesIn(data) > 0, { everyMs: 1 });
    const startMs = performance.now();
    assertEquals(await worker.stop(), 0);
    const stopMs = performance.now() - startMs;
    assert(stopMs <= STOP_MS_MAX, `ended after ${stopMs} ms`);
    assert(filesIn(data) < KEYSPACES, "it was stopped in the middle");
    checkData(data);
    const { code, stderr } = await runCountd(["worker", "--once", "--data", data]);
    assertEquals(code, 0, stderr);
    checkData(data);
    await using counters = await Counters.open(data);
    for (const name of names.filter((_, number) => number % 97 === 0)) {
      assertEquals(await counters.get(name, "only"), 1n);
    }
    assertEquals(filesIn(data), KEYSPACES);
  });
});

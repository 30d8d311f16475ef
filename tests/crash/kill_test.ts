/** Real daemons under load, killed and started again. */

import { assert } from "@std/assert";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { KillHarness } from "./kill_harness.ts";

Deno.test("Increments are conserved over SIGKILL of writers, workers and readers", async () => {
  const random = new Random(seedForTest("kill cycles"));
  const [cycles, verifiedEach] = Deno.env.get("COUNTD_TEST_LONG") ? [1000, 50] : [40, 20];
  await withTemporaryDirectory(async (directory) => {
    await using harness = await KillHarness.start({ random, directory });
    for (let cycle = 1; cycle <= cycles; cycle++) {
      await harness.cycle();
      if (cycle % verifiedEach === 0) await harness.verify({ resume: cycle < cycles });
    }
    const { counts } = harness;
    console.log(JSON.stringify(counts));
    assert(counts.kills >= cycles);
    assert(counts.conserved > 0);
    assert(counts.pointKills > 0);
  });
});

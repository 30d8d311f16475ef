/** Real daemons under load, killed and started again. */

import { assert } from "@std/assert";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { KillHarness } from "./kill_harness.ts";

const kills = new FullCount("kill cycles");

Deno.test("Increments are conserved over SIGKILL of writers, workers and readers", async () => {
  const random = new Random(seedForTest("kill cycles"));
  const verifiedEach = kills.isLong ? 50 : 20;
  await withTemporaryDirectory(async (directory) => {
    await using harness = await KillHarness.start({ random, directory });
    let cycles = 0;
    for (const _ of kills.rounds(40, 1000)) {
      if (cycles > 0 && cycles % verifiedEach === 0) await harness.verify({ resume: true });
      await harness.cycle();
      cycles++;
    }
    await harness.verify({ resume: false });
    const { counts } = harness;
    console.log(JSON.stringify(counts));
    assert(counts.kills >= cycles);
    assert(kills.isShort || counts.conserved > 0);
    assert(kills.isShort || counts.pointKills > 0);
  });
});

/** A log as readers see it while its holder stores headers. */

import { assert, assertEquals } from "@std/assert";
import { LogReader } from "../../../src/counters/commitlog/mod.ts";
import { poolOn, withDataDirectory } from "../../support/data_directory.ts";
import { durableOf } from "./store_headers.ts";
import { FullCount } from "../../support/full_count.ts";

const captures = new FullCount("captures of a log, ms");

// Story: a header was once decoded in the mapping. Its checksum was that of the old bytes, but its fields,
// read a moment later, were the new ones. So a log that was just being sealed looked free, and one read in
// a million missed increments that had been answered WIN.
Deno.test("A capture of a log always has one header, however fast headers are stored", async () => {
  for (const durationMs of captures.sizes(2_000, 30_000)) await captureFor(durationMs);
});

async function captureFor(durationMs: number): Promise<void> {
  await withDataDirectory(async ({ directory, data }) => {
    await poolOn(directory, { logs: 1 }).prepare();
    using reader = LogReader.open(directory, 0)!;
    const script = decodeURIComponent(new URL("./store_headers.ts", import.meta.url).pathname);
    const storing = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, data, String(durationMs)],
      stdin: "null",
    }).output();
    let isOver = false;
    storing.finally(() => isOver = true);
    const counts = { active: 0, sealed: 0, free: 0 };
    while (!isOver) {
      for (let count = 0; count < 1000; count++) {
        const capture = reader.capture();
        assert(capture !== null, "One of the two copies is always whole");
        const { generation, state, durable } = capture;
        if (generation === 0n) continue;
        assertEquals(durable, durableOf(generation, state), `${state} in use ${generation}`);
        counts[state]++;
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assertEquals((await storing).code, 0);
    assert(Math.min(...Object.values(counts)) > 100, JSON.stringify(counts));
  });
}

/** A log that is removed after a reader has looked at it. */

import { assertEquals, assertRejects } from "@std/assert";
import { CorruptError } from "../../../src/base/errors.ts";
import { noEvents } from "../../../src/base/events.ts";
import { pathOfSlot } from "../../../src/counters/commitlog/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import { batchOf, claim, poolOn, withDataDirectory } from "../../support/data_directory.ts";
import { clockAt } from "../../support/fixed_clock.ts";
import { latin1Bytes } from "./plain_base.ts";

/** Readers compare what they have open with the names each second. */
const NAMES_MS = 1000;

Deno.test("A log that was claimed, filled and removed since the last look is missed", async () => {
  // Story: the reader had seen it free, so it took its loss for that of an empty log, and left out what it held.
  await withDataDirectory(async ({ directory, data, open }) => {
    const pool = poolOn(directory);
    await pool.prepare();
    const clock = clockAt(0);
    using reader = new Reader(open(), { stale: false, clock, events: noEvents });
    const value = () => reader.value(latin1Bytes("visits"), latin1Bytes("/"));
    assertEquals(await value(), null);
    const active = await claim(pool);
    active.append(batchOf([["visits", "/", 5n]]));
    await active.seal({ sync: true });
    const path = pathOfSlot(directory.paths.logs, active.slot);
    Deno.renameSync(path, `${data}/kept`);
    clock.advance(NAMES_MS);
    for (let asked = 0; asked < 2; asked++) {
      await assertRejects(value, CorruptError, path);
    }
    Deno.renameSync(`${data}/kept`, path);
    assertEquals(await value(), 5n);
  });
});

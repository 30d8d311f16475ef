/** Increments that the shell itself writes to the data directory. */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { counterAccess } from "../../src/shell/mod.ts";
import { recordsOf, takeSealed, withDataDirectory } from "../support/data_directory.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { waitUntil } from "../support/wait.ts";

// Story: an increment had already been passed to the log when its frame met a full disk. It would have been
// answered as appended, and never counted.
Deno.test("An increment that meets a full disk is answered when it is in the log, and is there once", async () => {
  await withDataDirectory(async (test) => {
    const faults = new Faults();
    const events: string[] = [];
    const access = counterAccess({
      waitMs: 0,
      spaceTimeoutMs: 5000,
      storage: faultyStorage(test.storage, faults),
      data: test.data,
      clock: systemClock,
      events: { report: (_level, event) => events.push(event) },
      writeTo: null,
      readFrom: null,
      serverSizes: test.directory.sizes,
    });
    const encoder = new TextEncoder();
    {
      await using writer = await access.openWriter();
      await writer.increment(encoder.encode("ks"), encoder.encode("k"), 1n);
      await waitUntil("the spare", () => faults.count("link") >= 6);
      faults.failFrom("write", 1, "ENOSPC");
      const answered = writer.increment(encoder.encode("ks"), encoder.encode("k"), 5n);
      await waitUntil("a few attempts", () => faults.failed >= 3);
      faults.heal();
      await answered;
      assertEquals(events.at(-1), "writing goes on");
    }
    const log = takeSealed(test.directory, 0);
    assertEquals(recordsOf(log), ["ks k 1", "ks k 5"]);
    log.release();
  });
});

/** A backup of a directory whose order counter is damaged. */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { backup, checkDirectory, restore } from "../../src/admin/mod.ts";
import { DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { sealLog } from "../counters/worker/folding.ts";
import { withDataDirectory } from "../support/data_directory.ts";

const storage = systemStorage();
const options = { self: describeSelf(storage), clock: systemClock };

// Story: the backup of a directory whose order counter was torn got the counter 0, below the orders of its logs.
// The backup succeeded, and could not be restored.
Deno.test("A backup of a directory with a torn order counter has the greatest order of its logs", async () => {
  await withDataDirectory(async (test) => {
    await sealLog(test, [["k", "a", 1n]]);
    await sealLog(test, [["k", "a", 2n]]);
    const { control } = test.directory;
    assertEquals(control.order(), 2n);
    control.file.write(Uint8Array.of(0x55), 520);
    assertEquals(control.order(), null);
    await backup(storage, test.data, `${test.data}-backup`, options);
    restore(storage, `${test.data}-backup`, `${test.data}-restored`, options);
    using restored = DataDirectory.open(storage, `${test.data}-restored`, options);
    assertEquals(restored.control.order(), 2n);
    assertEquals(checkDirectory(storage, `${test.data}-restored`, options).violations, []);
  }, { checks: false });
});

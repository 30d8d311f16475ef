/** What `control` says in a backup, and in a directory that is restored from it. */

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

// Story: two directories that were restored from one backup had the same identity, which is to distinguish them.
Deno.test("Each restored directory has an identity of its own, and all else of its control is kept", async () => {
  await withDataDirectory(async (test) => {
    await sealLog(test, [["k", "a", 1n]]);
    const copy = `${test.data}-backup`;
    await backup(storage, test.data, copy, options);
    const heads = [test.data, copy];
    for (const name of ["first", "second"]) {
      restore(storage, copy, `${test.data}-${name}`, options);
      heads.push(`${test.data}-${name}`);
    }
    const bytes = heads.map((data) => Deno.readFileSync(`${data}/control`));
    assertEquals(new Set(bytes.map((each) => each.subarray(40, 56).toHex())).size, 4);
    const others = bytes.map((each) =>
      each.subarray(0, 40).toHex() + each.subarray(56, 508).toHex()
    );
    assertEquals(new Set(others).size, 1);
    using restored = DataDirectory.open(storage, `${test.data}-second`, options);
    assertEquals([restored.control.order(), restored.sizes], [1n, test.directory.sizes]);
  });
});

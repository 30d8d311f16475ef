/** A disk that has no space for what a log stores in `control`. */

import { assertEquals, assertThrows } from "@std/assert";
import { DataDirectory, describeSelf, slotLock } from "../../../src/counters/commitlog/mod.ts";
import { OsError } from "../../../src/file/mod.ts";
import { batchOf, claim, poolOn, withDataDirectory } from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";

// Story: the first frame was whole but not published. The second append failed before its fill, so the roll
// back took back the first one's records, which were then appended twice.
Deno.test("An append that cannot publish the frame before has filled its own when it fails", async () => {
  await withDataDirectory(async ({ directory, storage }) => {
    const faults = new Faults();
    const faulty = faultyStorage(storage, faults);
    const self = describeSelf(faulty);
    using own = DataDirectory.open(faulty, directory.paths.data, { self });
    const pool = poolOn(own);
    await pool.prepare();
    const log = await claim(pool);
    const batch = batchOf([["k", "a", 1n]]);
    const calls: string[] = [];
    const filler = {
      fill(frame: Uint8Array, start: number, end: number) {
        calls.push("fill");
        return batch.fill(frame, start, end);
      },
      rollBack: (kept: number) => batch.rollBack(kept),
      get filledRecords() {
        return batch.filledRecords;
      },
    };
    faults.failAt("write", 2, "ENOSPC");
    log.append(filler);
    const { tail } = log;
    faults.failAt("write", 1, "ENOSPC");
    assertThrows(() => log.append(filler), OsError);
    assertEquals([calls.length, log.tail], [2, tail]);
    log.append(filler);
    assertEquals(log.tail > tail, true);
    await log.seal({ sync: true });
  });
});

Deno.test("The lock of a slot that no pool has does not lengthen control", async () => {
  await withDataDirectory(({ directory, storage }) => {
    const size = storage.status(directory.paths.control).size;
    assertEquals(directory.control.tryLock(slotLock(9_999_999_999)), true);
    assertEquals(storage.status(directory.paths.control).size, size);
    return Promise.resolve();
  });
});

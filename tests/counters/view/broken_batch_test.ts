/** A frame with a right checksum around bytes that are not a batch of records. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type BatchFiller, nameOfSlot } from "../../../src/counters/commitlog/mod.ts";
import {
  RECORD_FLAGS_OFFSET,
  RECORD_KIND_OFFSET,
  RECORD_RESERVED_OFFSET,
  recordBytes,
} from "../../../src/counters/wire/mod.ts";
import { checkData } from "../../support/check_data.ts";
import { batchOf, claim, poolOn, withDataDirectory } from "../../support/data_directory.ts";
import { runCountd, startCountd } from "../../support/process.ts";

const noRecords: BatchFiller = {
  filledRecords: 1,
  fill: (frame, start) => (frame.fill(0xff, start, start + 16), start + 16),
  rollBack() {},
};

/** One record whose flags no countd of this version knows: without them it would mean something else. */
const flagged: BatchFiller = {
  filledRecords: 1,
  fill(frame, start, end) {
    const next = batchOf([["ks", "k", 5n]]).fill(frame, start, end);
    frame[start + recordBytes(2) + RECORD_FLAGS_OFFSET] = 2;
    return next;
  },
  rollBack() {},
};

/** One record of a kind that no countd of this version knows. */
const unknownKind: BatchFiller = {
  filledRecords: 1,
  fill(frame, start, end) {
    const next = batchOf([["ks", "k", 5n]]).fill(frame, start, end);
    frame[start + recordBytes(2) + RECORD_KIND_OFFSET] = 7;
    return next;
  },
  rollBack() {},
};

/** One record with a bit in the bytes that are reserved: a later countd may give it a meaning. */
const reserved: BatchFiller = {
  filledRecords: 1,
  fill(frame, start, end) {
    const next = batchOf([["ks", "k", 5n]]).fill(frame, start, end);
    frame[start + recordBytes(2) + RECORD_RESERVED_OFFSET + 1] = 0x40;
    return next;
  },
  rollBack() {},
};

for (
  const [what, broken] of [
    ["bytes that are not records", noRecords],
    ["an unknown kind", unknownKind],
    ["unknown flags", flagged],
    ["a reserved bit that is set", reserved],
  ] as const
) {
  Deno.test(`A frame that holds ${what} is damage to every reading verb and to folds`, async () => {
    await withDataDirectory(async (test) => {
      const pool = poolOn(test.directory);
      await pool.prepare();
      const log = await claim(pool);
      for (const batch of [batchOf([["ks", "k", 1n]]), broken, batchOf([["ks", "k", 2n]])]) {
        log.append(batch);
      }
      await log.seal({ sync: true });

      await using reader = startCountd(["read", "--data", test.data, "--port", "0"]);
      const connect = ["--connect", `127.0.0.1:${(await reader.listening()).port}`];
      for (const question of [["get", "ks", "k"], ["top", "ks"], ["top", "other"], ["keyspaces"]]) {
        const here = await runCountd([...question, "--data", test.data]);
        assertEquals([here.code, here.text], [6, ""]);
        assertStringIncludes(here.stderr, `/logs/${nameOfSlot(0)} is damaged at byte`);
        const there = await runCountd([...question, ...connect]);
        assertEquals([there.code, there.text], [6, ""]);
      }
      assertEquals(await reader.stop(), 0);

      assertEquals((await runCountd(["worker", "--once", "--data", test.data])).code, 6);
      assertEquals((await runCountd(["check", "--data", test.data])).code, 6);

      const repaired = `${test.data}.repaired`;
      assertEquals((await runCountd(["repair", "--data", test.data])).code, 0);
      assertEquals((await runCountd(["get", "ks", "k", "--data", repaired])).text, "3\n");
      checkData(repaired);
    }, { checks: false });
  });
}

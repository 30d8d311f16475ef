/** A feature in `compat` may be ignored: the file works, and every store keeps the word and the bytes of it. */

import { assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { checkDirectory, repair } from "../../../src/admin/mod.ts";
import { describeSelf, pathOfSlot } from "../../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { withDataDirectory } from "../../support/data_directory.ts";
import { counters, fold, sealLog } from "../worker/folding.ts";

const storage = systemStorage();
const options = { self: describeSelf(storage) };

const BLOCK_BYTES = 512;
const COMPAT_OFFSET = 12;
const CHECKSUM_OFFSET = 508;

/** Sets a compat bit and bytes of one block, and the checksum. */
function extend(block: Uint8Array, offsets: readonly number[]): void {
  block[COMPAT_OFFSET] = 1;
  for (const offset of offsets) block[offset] = 7;
  const view = new DataView(block.buffer, block.byteOffset);
  view.setUint32(CHECKSUM_OFFSET, crc32(block.subarray(0, CHECKSUM_OFFSET)), true);
}

// Story: must-be-zero bytes beside an unknown compat bit were damage, and the next store wrote compat 0. So a
// feature that an older countd "may ignore" made it quarantine the log, or end the feature in silence.
Deno.test("A log with an unknown compat feature is claimed, sealed, folded and recycled, and keeps it", async () => {
  await withDataDirectory(async (test) => {
    await sealLog(test, [["k", "a", 1n]]);
    await fold(test);
    const paths = [0, 1, 2, 3].map((slot) => pathOfSlot(test.directory.paths.logs, slot));
    const ours = [44, 100, 115, 300];
    for (const path of paths) {
      Deno.chmodSync(path, 0o600);
      const bytes = Deno.readFileSync(path);
      for (const at of [0, BLOCK_BYTES]) {
        if (bytes[at] !== 0) extend(bytes.subarray(at, at + BLOCK_BYTES), ours);
      }
      Deno.writeFileSync(path, bytes);
      Deno.chmodSync(path, 0o400);
    }
    for (let round = 0; round < 4; round++) {
      await sealLog(test, [["k", "a", 1n]]);
      await fold(test);
    }
    assertEquals(counters(test, "k"), ["a 5"]);
    assertEquals(checkDirectory(storage, test.data, options).violations, []);
    for (const path of paths) {
      Deno.chmodSync(path, 0o600);
      const bytes = Deno.readFileSync(path);
      Deno.chmodSync(path, 0o400);
      for (const at of [0, BLOCK_BYTES]) {
        if (bytes[at] === 0) continue;
        assertEquals([COMPAT_OFFSET, ...ours].map((offset) => bytes[at + offset]), [1, 7, 7, 7, 7]);
      }
    }
  });
});

Deno.test("A control file with an unknown compat feature is not damaged, and a repair keeps the feature", async () => {
  await withDataDirectory(async (test) => {
    const { control } = test.directory.paths;
    const ours = [28, 60, 300, 600, 4096 + 600, 8192 + 3];
    const bytes = Deno.readFileSync(control);
    for (const offset of ours) bytes[offset] = 7;
    extend(bytes.subarray(0, BLOCK_BYTES), []);
    Deno.writeFileSync(control, bytes);
    await sealLog(test, [["k", "a", 1n]]);
    await fold(test);
    assertEquals(checkDirectory(storage, test.data, options).violations, []);
    test.directory.close();
    Deno.truncateSync(control, 20_000);
    assertEquals(checkDirectory(storage, test.data, options).violations.map(({ path }) => path), [
      control,
    ]);
    assertEquals(repair(storage, test.data, { ...options, out: null }).remaining, []);
    const made = Deno.readFileSync(control);
    assertEquals([COMPAT_OFFSET, ...ours].map((offset) => made[offset]), [1, 7, 7, 7, 7, 7, 7]);
    assertEquals(made.subarray(40, 56), bytes.subarray(40, 56));
  });
});

/** Where backup, restore and repair put what they make, and what they leave beside it: nothing. */

import { assertEquals, assertThrows } from "@std/assert";
import { checkDirectory, repair } from "../../src/care/mod.ts";
import { OsError } from "../../src/file/mod.ts";
import { capture } from "../cli/capture.ts";
import { withUnfolded } from "../cli/effect_support.ts";
import { CounterOracle } from "../crash/counter_oracle.ts";
import { DATA, someHolder } from "../crash/counter_subject.ts";
import { fillDisk } from "../crash/damaged_ground.ts";
import { checkData } from "../support/check_data.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";

// `countd backup /backups/monday/` wrote into `/backups/monday/.partial`, inside of what it was to become:
// everything was copied, and then no rename could put a directory into the place of the one that holds it.
Deno.test("Backup, restore and repair take a directory that is named with slashes at its end", async () => {
  await withUnfolded(async (data) => {
    const made = await capture(["backup", `${data}-copy/`, "--data", `${data}/`]);
    assertEquals(made.code, 0, made.stderr);
    const restored = await capture(["restore", `${data}-copy/`, "--data", `${data}-second//`]);
    assertEquals(restored.code, 0, restored.stderr);
    const repaired = await capture(["repair", "--data", `${data}/`, "--out", `${data}-third/`]);
    assertEquals(repaired.code, 0, repaired.stderr);
    const beside = await capture(["repair", "--data", `${data}/`]);
    assertEquals(beside.code, 0, beside.stderr);
    const names = [...Deno.readDirSync(`${data}/..`)].map(({ name }) => name).sort();
    assertEquals(names, ["data", "data-copy", "data-second", "data-third", "data.repaired"]);
    for (const each of ["-second", "-third", ".repaired"]) {
      const counted = await capture(["get", "pages", "a", "--data", `${data}${each}`]);
      assertEquals(counted.stdout, "30\n", counted.stderr);
      checkData(`${data}${each}`);
    }
  });
});

// `countd repair` ran out of space in the middle of its copy and left it: the disk was full then for the
// daemons too, and a second try had no more space than the first.
Deno.test("A repaired copy that the disk has no room for leaves nothing and gives its space back", async () => {
  const disk = new SimulatedDisk({ sizeBytes: 300 * 1024 });
  await fillDisk(disk, new CounterOracle(), 2);
  const storage = disk.process("repair");
  const names = storage.readDirectory("/");
  const { freeBytes } = storage.space("/");
  const again = { self: someHolder, out: "/repaired" };
  assertEquals(assertThrows(() => repair(storage, DATA, again), OsError).code, "ENOSPC");
  assertEquals(storage.readDirectory("/"), names);
  assertEquals(storage.space("/").freeBytes, freeBytes);
  assertEquals(checkDirectory(storage, DATA, again).violations, []);
});

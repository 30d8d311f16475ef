/** Where backup, restore and repair put what they make, and what they leave beside it: nothing. */

import { assertEquals } from "@std/assert";
import { capture } from "../cli/capture.ts";
import { withUnfolded } from "../cli/effect_support.ts";
import { checkData } from "../support/check_data.ts";

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

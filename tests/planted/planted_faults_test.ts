/**
 * Tests of the tests: the guards of the product are removed one at a time, and a test must notice. Two of
 * them, by seed, are tried in a normal run; the full count is all.
 */

import { assert, assertThrows } from "@std/assert";
import { FullCount } from "../support/full_count.ts";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { plantedFaults } from "./faults.ts";
import { PlantedTree, replacedOnce } from "./planted_tree.ts";

const project = new URL("../../", import.meta.url);
const readText = (path: string) => Deno.readTextFileSync(new URL(path, project));
const count = new FullCount("planted faults");

Deno.test("A guard that is removed is missed by a test", async () => {
  const seed = seedForTest("planted faults");
  const possible = plantedFaults.filter(({ needsRoot }) => !needsRoot || runningAsRoot());
  const normal = new Set(new Random(seed).shuffle([...possible]).slice(0, 2));
  await withTemporaryDirectory(async (directory) => {
    // An ordinary user, as which some tests start processes, must reach it.
    Deno.chmodSync(directory, 0o755);
    const tree = PlantedTree.copy(directory);
    for (const fault of count.choices(possible, (fault) => normal.has(fault))) {
      console.log(`planted: ${fault.name}`);
      await tree.assertCaught(fault);
    }
  });
});

Deno.test("Every planted fault replaces text that is in its file once, and names a test that is there", () => {
  for (const fault of plantedFaults) {
    replacedOnce(readText(fault.file), fault);
    const { file, name } = fault.test;
    assert(readText(file).includes(`"${name}"`), `${file} has no test ${name}`);
  }
});

Deno.test("Text that is missing, or there twice, cannot be replaced", () => {
  const fault = { name: "fault", file: "file", from: "a", to: "b" };
  for (const text of ["", "xyz", "a a"]) assertThrows(() => replacedOnce(text, fault));
});

/** Repair: what it saves, what it says of it, and whom it keeps out meanwhile. */

import { assertEquals } from "@std/assert";
import { checkDirectory, repair } from "../../src/care/mod.ts";
import { DataDirectory, pathOfSlot } from "../../src/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { CounterOracle } from "../crash/counter_oracle.ts";
import { DATA, openPool, someHolder } from "../crash/counter_subject.ts";
import { fillFreeLogs, foldAll } from "../crash/damaged_ground.ts";
import { keyspaceTotals } from "../crash/keyspace_fold.ts";
import { foldOnce } from "../crash/worker_fold.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";

const options = { self: someHolder };
const inPlace = { ...options, out: null };
const LOGS = `${DATA}/logs`;

/** Two logs, free again after three uses; everything is in the keyspaces "one" and "two". */
async function foldedGround(): Promise<{ disk: SimulatedDisk; oracle: CounterOracle }> {
  const disk = new SimulatedDisk();
  (await openPool(disk.process("prepare"))).directory.close();
  const storage = disk.process("writer");
  const oracle = new CounterOracle();
  for (let use = 0; use < 3; use++) {
    fillFreeLogs(storage, oracle, ["one", "two"]);
    foldAll(storage);
  }
  return { disk, oracle };
}

/** As the next worker leaves it: everything is counted, and nothing is broken. */
async function foldAndJudge(storage: Storage, oracle: CounterOracle): Promise<void> {
  using directory = DataDirectory.open(storage, DATA, options);
  await foldOnce(directory);
  oracle.judge(keyspaceTotals(storage));
  assertEquals(checkDirectory(storage, DATA, options).violations, []);
}

// Story: somebody removed a log that the keyspaces speak of. The pool made it anew, from generation 0, its
// next uses stood below the marks, and folds dropped them as counted already; check found nothing.
Deno.test("Check names a log that was removed, and what is written after a repair counts", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  const path = pathOfSlot(LOGS, 1);
  storage.unlink(path);
  const found = checkDirectory(storage, DATA, options).violations;
  assertEquals(found.map((each) => [each.noun, each.invariant, each.path]), [["logs", 12, path]]);
  const report = repair(storage, DATA, inPlace);
  assertEquals(report.remaining, []);
  assertEquals(report.actions.map((action) => [action.path, action.saved]), [[path, null]]);
  (await openPool(storage)).directory.close();
  fillFreeLogs(storage, oracle, ["one"]);
  await foldAndJudge(storage, oracle);
});

Deno.test("Repair makes the directory of logs again where it was removed", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  storage.rename(LOGS, "/gone");
  assertEquals(checkDirectory(storage, DATA, options).violations.length, 2);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  (await openPool(storage)).directory.close();
  fillFreeLogs(storage, oracle, ["one"]);
  await foldAndJudge(storage, oracle);
});

Deno.test("Repair saves what was written to a log that was removed and made anew", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  const path = pathOfSlot(LOGS, 1);
  storage.unlink(path);
  (await openPool(storage)).directory.close();
  fillFreeLogs(storage, oracle, ["one", "two"]);
  const found = checkDirectory(storage, DATA, options).violations;
  assertEquals(found.map((each) => [each.invariant, each.path]), [[12, path]]);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  await foldAndJudge(storage, oracle);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  await foldAndJudge(storage, oracle);
});

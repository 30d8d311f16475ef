/** Repair: what it saves, what it reports, and that it keeps daemons out. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { CorruptError } from "../../src/base/errors.ts";
import { backup, checkDirectory, repair } from "../../src/admin/mod.ts";
import { newestHeader } from "../../src/counters/commitlog/header.ts";
import { ActiveLog, DataDirectory, HeldLog, pathOfSlot } from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { CounterOracle } from "../crash/counter_oracle.ts";
import {
  DATA,
  LOG_BYTES,
  OneBatch,
  openPool,
  someHolder,
  stillClock,
} from "../crash/counter_subject.ts";
import { fillFreeLogs, foldAll } from "../crash/damaged_ground.ts";
import { keyspaceTotals } from "../crash/keyspace_fold.ts";
import { foldOnce } from "../crash/worker_fold.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { heldBytes } from "../support/held_bytes.ts";

const options = { self: someHolder };
const inPlace = { ...options, out: null };
const LOGS = `${DATA}/logs`;

/** Two logs, free again after three uses; both keyspaces, "one" and "two", have applied all. */
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

/** Folds as the next worker does: everything is counted, and no rule is broken. */
async function foldAndJudge(storage: Storage, oracle: CounterOracle): Promise<void> {
  using directory = DataDirectory.open(storage, DATA, options);
  await foldOnce(directory);
  oracle.judge(keyspaceTotals(storage));
  assertEquals(checkDirectory(storage, DATA, options).violations, []);
}

// Story: a log that keyspaces had applied was removed. The pool made it again from generation 0, its next uses
// were below the applied generations, and folds left them out as counted; check found nothing.
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

// Story: a repair of a damaged head lowered a whole order counter to the greatest order of the logs that were left.
// So an order was given twice, and logs were folded in a wrong order.
Deno.test("Repair keeps a whole order counter if only the head of the control file is damaged", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  const path = `${DATA}/control`;
  {
    using directory = DataDirectory.open(storage, DATA, options);
    directory.control.storeOrder(1000n);
  }
  using file = storage.open(path, { access: "write" });
  file.write(Uint8Array.of(0x55), 300);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  {
    using directory = DataDirectory.open(storage, DATA, options);
    assertEquals(directory.control.order(), 1000n);
  }
  fillFreeLogs(storage, oracle, ["one"]);
  await foldAndJudge(storage, oracle);
});

Deno.test("Repair makes the directory of logs again if it was removed", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  storage.rename(LOGS, "/gone");
  assertEquals(checkDirectory(storage, DATA, options).violations.length, 2);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  (await openPool(storage)).directory.close();
  fillFreeLogs(storage, oracle, ["one"]);
  await foldAndJudge(storage, oracle);
});

/** What check and repair report if the log of slot 1, with `records`, is below an applied generation. */
function assertNotCounted(storage: Storage, records: number): void {
  const path = pathOfSlot(LOGS, 1);
  const found = checkDirectory(storage, DATA, options).violations;
  assertEquals(found.map((each) => [each.invariant, each.path]), [[12, path]]);

  assertMatch(
    found[0]!.message,
    new RegExp(`not count the ${records} increments in it, .* in repair-saved$`),
  );
  const report = repair(storage, DATA, inPlace);
  assertEquals(report.remaining, []);
  const saved = `${DATA}/repair-saved/logs/0000000001`;
  assertEquals(report.actions.map((action) => [action.path, action.saved]), [[path, saved]]);
  const what = new RegExp(`^made free; ${records} increments of generation 1 were not counted`);
  assertMatch(report.actions[0]!.what, what);
}

// Story: `cp -a` of a directory in use copied a log before it was folded, and the keyspaces after its next use.
// Check stopped at rule 12 and advised repair. That took the log for one that was made again, and gave it a
// generation above the applied ones. The next fold counted all of it a second time.
Deno.test("Repair does not count an old copy of a log beside newer keyspaces again", async () => {
  const disk = new SimulatedDisk();
  (await openPool(disk.process("prepare"))).directory.close();
  const storage = disk.process("user");
  const oracle = new CounterOracle();
  const path = pathOfSlot(LOGS, 1);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  const { live, size } = disk.files().get(path)!;
  const bytes = live.slice(0, size);
  foldAll(storage);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  foldAll(storage);
  overwrite(storage, path, { offset: 0, bytes });
  storage.chmod(path, 0o200);
  assertNotCounted(storage, 4);
  await foldAndJudge(storage, oracle);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  await foldAndJudge(storage, oracle);
});

Deno.test("Repair keeps and does not count what was written to a log that was removed and made again", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  const path = pathOfSlot(LOGS, 1);
  storage.unlink(path);
  (await openPool(storage)).directory.close();
  const [, uncounted] = fillFreeLogs(storage, oracle, ["one", "two"]);
  const { live, size } = disk.files().get(path)!;
  const bytes = live.slice(0, size);
  assertNotCounted(storage, 4);
  uncounted!.acknowledged = false;
  const saved = disk.files().get(`${DATA}/repair-saved/logs/0000000001`)!;
  assertEquals(saved.live.slice(0, saved.size), bytes);
  await foldAndJudge(storage, oracle);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  await foldAndJudge(storage, oracle);
});

/** Two logs that keyspace "one" has applied and "two" has not, as a kill in Fold, step 5, leaves. */
async function halfFoldedGround(): Promise<{ disk: SimulatedDisk; oracle: CounterOracle }> {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("writer");
  fillFreeLogs(storage, oracle, ["one", "two"]);
  const behind = [`${DATA}/keyspaces/two`, ...[0, 1].map((slot) => pathOfSlot(LOGS, slot))];
  const kept = behind.map((path) => {
    const { live, size } = disk.files().get(path)!;
    return live.slice(0, size);
  });
  foldAll(storage);
  for (const [index, path] of behind.entries()) {
    overwrite(storage, path, { offset: 0, bytes: kept[index]! });
    storage.chmod(path, index === 0 ? 0o600 : 0o200);
  }
  return { disk, oracle };
}

function overwrite(
  storage: Storage,
  path: string,
  { offset, bytes }: { readonly offset: number; readonly bytes: Uint8Array },
): void {
  const { mode } = storage.status(path);
  storage.chmod(path, 0o600);
  {
    using file = storage.open(path, { access: "write" });
    if (offset === 0 && bytes.length > 4096) file.truncate(bytes.length);
    file.write(bytes, offset);
  }
  storage.chmod(path, mode);
}

const lostHead = { offset: 0, bytes: new Uint8Array(1024).fill(0x5a) };

// Story: a fold was killed between the meta blocks of two keyspaces (Fold, step 5), then the header page of its
// log could not be read. Only generations above the applied one were tried, and the log was replaced by an
// empty one. The second keyspace never got its increments, and the report said 0 bytes of damage.
Deno.test("Repair saves a log without a header that not all of its keyspaces have applied", async () => {
  const { disk, oracle } = await halfFoldedGround();
  const storage = disk.process("user");
  overwrite(storage, pathOfSlot(LOGS, 0), lostHead);
  const report = repair(storage, DATA, inPlace);
  assertEquals(report.remaining, []);
  assertMatch(report.actions[0]!.what, /^saved 4 increments of generation 4, .* is unknown$/);
  await foldAndJudge(storage, oracle);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  await foldAndJudge(storage, oracle);
});

Deno.test("Repair of a log without a header counts nothing again that all keyspaces have applied", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  overwrite(storage, pathOfSlot(LOGS, 0), lostHead);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  await foldAndJudge(storage, oracle);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  await foldAndJudge(storage, oracle);
});

Deno.test("Repair of a log without a header takes its latest use, not the rest of an earlier one", async () => {
  const { disk, oracle } = await foldedGround();
  const storage = disk.process("user");
  // A longer use, with frames behind the truncation point that were never acknowledged.
  const torn = oracle.copy();
  fillFreeLogs(storage, torn, ["one", "two"], 3);
  for (const slot of [0, 1]) {
    using directory = DataDirectory.open(storage, DATA, options);
    const held = HeldLog.take(directory, slot)!;
    held.store({ state: "free", length: 4096, durable: 4096, records: 0 });
    held.release("free");
  }
  fillFreeLogs(storage, oracle, ["one", "two"]);
  overwrite(storage, pathOfSlot(LOGS, 0), lostHead);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  await foldAndJudge(storage, oracle);
});

Deno.test("Repair reports that the content of a log is unknown if nothing of it is left", async () => {
  const { disk } = await foldedGround();
  const storage = disk.process("user");
  const all = { offset: 0, bytes: new Uint8Array(LOG_BYTES).fill(0x5a) };
  overwrite(storage, pathOfSlot(LOGS, 0), all);
  storage.unlink(pathOfSlot(LOGS, 1));
  const report = repair(storage, DATA, inPlace);
  assertEquals(report.remaining, []);
  assertEquals(report.actions.map(({ what }) => what), [
    "found no increments: its header is lost, so what it held is unknown",
    "made again, free: it was missing, and what it held is unknown",
  ]);
});

// Story: a writer died, and the newest header of its log was damaged. The other copy said free, from the use
// before: recovery labelled the log free, the next writer claimed it, and its records were lost. Check found
// nothing, and a backup had an empty log.
Deno.test("A log whose newest header is damaged is not taken for a free log, and repair saves it", async () => {
  for (const earlierUses of [0, 1, 2]) {
    const disk = new SimulatedDisk();
    const writer = disk.process("writer");
    const pool = await openPool(writer);
    const oracle = new CounterOracle();
    for (let use = 0; use < earlierUses; use++) {
      fillFreeLogs(writer, oracle, ["one"]);
      foldAll(writer);
    }
    const active = await pool.claim();
    assert(active instanceof ActiveLog);
    const batch = oracle.send(["one"]);
    active.append(new OneBatch(batch));
    await active.sync();
    batch.acknowledged = true;
    const path = pathOfSlot(LOGS, active.slot);
    const copy = newestHeader(heldBytes(active.held), active.held.path)!.copy;
    writer.kill();
    const storage = disk.process("user");
    overwrite(storage, path, { offset: 512 * copy + 20, bytes: new Uint8Array([0xff]) });
    const [found] = checkDirectory(storage, DATA, options).violations;
    assertEquals([found?.noun, found?.invariant, found?.offset], ["logs", 3, 512 * copy]);
    await assertRejects(
      () => backup(storage, DATA, "/copy", { ...options, clock: stillClock }),
      CorruptError,
      "lost its header",
    );
    const { directory } = await openPool(storage, 2, () => {});
    await assertRejects(() => foldOnce(directory), CorruptError);
    directory.close();
    assertEquals(repair(storage, DATA, inPlace).remaining, []);
    await foldAndJudge(storage, oracle);
  }
});

// Story: a writer that stops without input frees its logs, so generations rise and no keyspace applies them.
// After 64 such uses the newest header of a log was damaged. Its use was searched just above the applied
// generation and not found, and the log was replaced by an empty one.
Deno.test("Repair saves a log whose newest header is damaged after many uses that ended empty", async () => {
  const disk = new SimulatedDisk();
  const writer = disk.process("writer");
  const pool = await openPool(writer, 1);
  const oracle = new CounterOracle();
  fillFreeLogs(writer, oracle, ["one"]);
  foldAll(writer);
  for (let use = 0; use < 70; use++) {
    const idle = await pool.claim();
    assert(idle instanceof ActiveLog);
    await idle.seal({ sync: true });
  }
  const active = await pool.claim();
  assert(active instanceof ActiveLog);
  const batch = oracle.send(["one"]);
  active.append(new OneBatch(batch));
  await active.sync();
  batch.acknowledged = true;
  const { copy, header } = newestHeader(heldBytes(active.held), active.held.path)!;
  assert(header.generation > 64n, `generation ${header.generation}`);
  writer.kill();
  const storage = disk.process("user");
  const damage = { offset: 512 * copy + 20, bytes: new Uint8Array([0xff]) };
  overwrite(storage, pathOfSlot(LOGS, active.slot), damage);
  const report = repair(storage, DATA, inPlace);
  assertEquals(report.remaining, []);
  const what = new RegExp(`^saved 2 increments of generation ${header.generation}`);
  assertMatch(report.actions[0]!.what, what);
  await foldAndJudge(storage, oracle);
  fillFreeLogs(storage, oracle, ["one"]);
  await foldAndJudge(storage, oracle);
});

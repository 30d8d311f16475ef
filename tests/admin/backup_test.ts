/** Backup and restore: what the copy holds, whatever folds and writes while it is made. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CorruptError, FailedError, NotFoundError } from "../../src/base/errors.ts";
import { backup, checkDirectory, repair, restore } from "../../src/admin/mod.ts";
import { DataDirectory, pathOfSlot } from "../../src/counters/commitlog/mod.ts";
import { init } from "../../src/database/mod.ts";
import { TableRoot } from "../../src/tables/mod.ts";
import { CounterOracle } from "../crash/counter_oracle.ts";
import { DATA, openPool, someHolder, stillClock } from "../crash/counter_subject.ts";
import { fillFreeLogs, foldAll } from "../crash/damaged_ground.ts";
import { keyspaceTotals } from "../crash/keyspace_fold.ts";
import { foldOnce } from "../crash/worker_fold.ts";
import { type DiskEvent, SimulatedDisk } from "../support/simulated_disk.ts";

const options = { self: someHolder, clock: stillClock };
const COPY = "/copy";
const SECOND = "/second";

/** Keyspaces with counters, logs that wait for a fold, and an oracle of both. */
async function ground(): Promise<{ disk: SimulatedDisk; oracle: CounterOracle }> {
  const disk = new SimulatedDisk();
  const pool = await openPool(disk.process("prepare"));
  pool.directory.close();
  const storage = disk.process("writer");
  const oracle = new CounterOracle();
  fillFreeLogs(storage, oracle, ["one", "two"]);
  foldAll(storage);
  fillFreeLogs(storage, oracle, ["two", "three"]);
  return { disk, oracle };
}

/** Restores, folds what was in the logs, and compares. */
async function judgeCopy(disk: SimulatedDisk, oracle: CounterOracle): Promise<void> {
  const storage = disk.process("restorer");
  restore(storage, COPY, SECOND, { self: someHolder });
  using directory = DataDirectory.open(storage, SECOND, { self: someHolder });
  await foldOnce(directory);
  oracle.judge(keyspaceTotals(storage, SECOND));
  assertEquals(checkDirectory(storage, SECOND, options).violations, []);
}

Deno.test("Backup holds what is folded and what is still in the logs", async () => {
  const { disk, oracle } = await ground();
  const report = await backup(disk.process("backup"), DATA, COPY, options);
  assertEquals(report.keyspaces, 2);
  assertEquals(report.unfoldedRecords, 8);
  await judgeCopy(disk, oracle);
});

Deno.test("Backup is right if a fold and the next use of each log happen at any moment of it", async () => {
  const quiet = await ground();
  const before = quiet.disk.operations;
  await backup(quiet.disk.process("backup"), DATA, COPY, options);
  const operations = quiet.disk.operations - before;
  for (let moment = 0; moment < operations; moment++) {
    const { disk, oracle } = await ground();
    const stored = oracle.copy();
    const at = disk.operations + moment;
    const other = disk.process("worker");
    disk.observer = (event: DiskEvent) => {
      if (event.index !== at || event.when !== "before") return;
      disk.observer = null;
      foldAll(other);
      fillFreeLogs(other, oracle, ["two", "four"]);
      foldAll(other);
      fillFreeLogs(other, oracle, ["one", "three"]);
    };
    await backup(disk.process("backup"), DATA, COPY, options);
    assertEquals(disk.observer, null, "the moment came");
    for (const batch of oracle.batches.slice(stored.batches.length)) batch.acknowledged = false;
    try {
      await judgeCopy(disk, oracle);
    } catch (cause) {
      throw new Error(`operation ${moment} of ${operations}: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
});

Deno.test("What is written to a restored directory counts, in every log", async () => {
  const { disk, oracle } = await ground();
  const other = disk.process("worker");
  disk.observer = (event) => {
    if (event.point !== "backup.logs.after" || event.when !== "before") return;
    disk.observer = null;
    foldAll(other);
    fillFreeLogs(other, oracle, ["one"]);
    foldAll(other);
  };
  await backup(disk.process("backup"), DATA, COPY, options);
  const storage = disk.process("restorer");
  restore(storage, COPY, SECOND, { self: someHolder });
  // In place of the first one, so that the helpers above write to it.
  storage.rename(DATA, "/first");
  storage.rename(SECOND, DATA);
  foldAll(storage);
  fillFreeLogs(storage, oracle, ["one", "two"]);
  foldAll(storage);
  const late = oracle.batches.slice(4, -2);
  for (const batch of late) batch.acknowledged = false;
  oracle.judge(keyspaceTotals(storage));
});

// Story: the pool grew while a backup ran, and the new log was folded before its keyspace was copied. The
// copy of the keyspace had applied a log of which the backup had no copy. The restored pool made that log
// again from generation 0. Its next use was below the applied generation, and folds left out what had been
// answered.
Deno.test("What is written to a restored directory counts, also in a log made during the backup", async () => {
  const disk = new SimulatedDisk();
  (await openPool(disk.process("prepare"), 3)).directory.close();
  const storage = disk.process("writer");
  const added = pathOfSlot(`${DATA}/logs`, 2);
  storage.rename(added, "/later");
  const oracle = new CounterOracle();
  fillFreeLogs(storage, oracle, ["one"]);
  foldAll(storage);
  const other = disk.process("worker");
  disk.observer = (event) => {
    if (event.point !== "backup.logs.after" || event.when !== "before") return;
    disk.observer = null;
    other.rename("/later", added);
    fillFreeLogs(other, oracle, ["one"]);
    foldAll(other);
  };
  await backup(disk.process("backup"), DATA, COPY, options);
  assertEquals(disk.observer, null, "the moment came");
  const restorer = disk.process("restorer");
  restore(restorer, COPY, SECOND, { self: someHolder });
  restorer.rename(DATA, "/first");
  restorer.rename(SECOND, DATA);
  oracle.judge(keyspaceTotals(restorer));
  (await openPool(restorer, 3)).directory.close();
  fillFreeLogs(restorer, oracle, ["one"]);
  foldAll(restorer);
  oracle.judge(keyspaceTotals(restorer));
  assertEquals(checkDirectory(restorer, DATA, options).violations, []);
});

Deno.test("Backup has the tables and the database", async () => {
  const disk = new SimulatedDisk({ mappingReserveBytes: 1024 * 1024 });
  const storage = disk.process("user");
  storage.makeDirectory(DATA, 0o700);
  storage.makeDirectory(`${DATA}/db`, 0o700);
  const tables = new TableRoot(storage, `${DATA}/tables`, { lockTimeoutMs: 1000 });
  await tables.set("key", new TextEncoder().encode("value"));
  await tables.table("a/b").set("other", new TextEncoder().encode("thing"));
  const db = init(`${DATA}/db/db.json`, `${DATA}/db/log`, { storage, syncIntervalMs: 1e9 });
  await db.write("x", "hello");
  // The owner is running and has the database open.
  const report = await backup(disk.process("backup"), DATA, COPY, options);
  assertEquals([report.tableKeys, report.database, report.keyspaces], [2, true, 0]);
  await db.close();
  restore(storage, COPY, SECOND, { self: someHolder });
  const again = new TableRoot(storage, `${SECOND}/tables`, { lockTimeoutMs: 1000 });
  assertEquals(new TextDecoder().decode(await again.table("a/b").get("other")), "thing");
  const restored = init(`${SECOND}/db/db.json`, `${SECOND}/db/log`, { storage });
  assertEquals(await restored.read("x"), "hello");
  await restored.close();
  assertEquals(checkDirectory(storage, SECOND, options).violations, []);
});

// Story: the last key of a table was deleted, and the table backed up and restored. `kv keys` had said "no
// keys" (exit 0), and then said "not found" (3). The manifest lists files, and such a table has none.
Deno.test("A table without keys is still there after a restore", async () => {
  const storage = new SimulatedDisk().process("user");
  const tables = new TableRoot(storage, `${DATA}/tables`, { lockTimeoutMs: 1000 });
  for (const name of ["jobs", "a/b", "a/b.tbl/c"]) {
    await tables.table(name).set("key", new Uint8Array(3));
    if (name !== "a/b") await tables.table(name).delete("key");
  }
  await backup(storage, DATA, COPY, options);
  restore(storage, COPY, SECOND, options);
  const again = new TableRoot(storage, `${SECOND}/tables`, { lockTimeoutMs: 1000 });
  assertEquals(again.tables(), ["", "a/b", "a/b.tbl/c", "jobs"]);
  assertEquals([...again.table("jobs").keys()], []);
  assertEquals([...again.table("a/b").keys()], ["key"]);
  assertEquals(checkDirectory(storage, SECOND, options).violations, []);
  // Nothing but empty tables, and no tables at all.
  await tables.table("a/b").delete("key");
  await backup(storage, DATA, "/copy2", options);
  restore(storage, "/copy2", "/third", options);
  const third = new TableRoot(storage, "/third/tables", { lockTimeoutMs: 1000 });
  assertEquals(third.tables(), again.tables());
  const { disk } = await ground();
  const other = disk.process("user");
  await backup(other, DATA, COPY, options);
  restore(other, COPY, SECOND, options);
  assertEquals(other.statusOrNull(`${SECOND}/tables`), null);
});

Deno.test("Backup and restore refuse a place that is not empty, and leave it as it is", async () => {
  const { disk } = await ground();
  const storage = disk.process("user");
  storage.makeDirectory(COPY, 0o700);
  storage.makeDirectory(`${COPY}/mine`, 0o700);
  await assertRejects(() => backup(storage, DATA, COPY, options), FailedError, "not empty");
  storage.removeDirectory(`${COPY}/mine`);
  await backup(storage, DATA, COPY, options);
  assertThrows(() => restore(storage, COPY, DATA, options), FailedError, "not empty");
  assertThrows(() => restore(storage, "/none", SECOND, options), NotFoundError, "No backup");
  await assertRejects(() => backup(storage, "/none", "/copy2", options), NotFoundError);
  assertEquals(storage.readDirectory("/").sort(), ["copy", "data"]);
});

Deno.test("Restore refuses a backup with any byte changed, cut or missing, and makes nothing", async () => {
  const { disk } = await ground();
  const storage = disk.process("user");
  await backup(storage, DATA, COPY, options);
  for (const [path, inode] of disk.files()) {
    if (!path.startsWith(`${COPY}/`) || inode.size === 0) continue;
    using file = storage.open(path, { access: "write" });
    const offset = Math.floor(inode.size / 2);
    const byte = new Uint8Array(1);
    file.read(byte, offset);
    file.write(new Uint8Array([(byte[0] ?? 0) ^ 1]), offset);
    if (!path.endsWith("backup.json")) {
      assertThrows(() => restore(storage, COPY, SECOND, options), CorruptError, path);
    } else {
      // A byte of the manifest may belong to a size or a name, or only to the version.
      try {
        restore(storage, COPY, SECOND, options);
        storage.rename(SECOND, `/ok-${offset}`);
      } catch (error) {
        assert(error instanceof CorruptError, String(error));
      }
    }
    assertEquals(storage.statusOrNull(SECOND), null, path);
    file.write(byte, offset);
    storage.rename(path, "/aside");
    if (path.endsWith("backup.json")) {
      assertThrows(() => restore(storage, COPY, SECOND, options), NotFoundError);
    } else assertThrows(() => restore(storage, COPY, SECOND, options), CorruptError, "missing");
    storage.rename("/aside", path);
  }
  restore(storage, COPY, SECOND, options);
});

Deno.test("Backup refuses a damaged log and names it", async () => {
  const { disk } = await ground();
  const storage = disk.process("user");
  const path = pathOfSlot(`${DATA}/logs`, 0);
  using file = storage.open(path, { access: "write" });
  file.write(new Uint8Array([7]), 4200);
  const error = await assertRejects(() => backup(storage, DATA, COPY, options), CorruptError);
  assertEquals(error.where.path, path);
  assertEquals(storage.readDirectory("/"), ["data"]);
});

// Story: a log was removed and made again from generation 0, and increments were answered in it. Its copy was
// below the applied generations, and was taken for a log that was folded and used again during the backup.
// The backup silently got an empty log in its place, and the restored directory had lost the increments.
Deno.test("Backup refuses a log below an applied generation of its keyspaces, and names it", async () => {
  const { disk, oracle } = await ground();
  const storage = disk.process("user");
  foldAll(storage);
  const path = pathOfSlot(`${DATA}/logs`, 1);
  storage.unlink(path);
  (await openPool(storage)).directory.close();
  fillFreeLogs(storage, oracle, ["one"]);
  const [found] = checkDirectory(storage, DATA, options).violations;
  assertEquals([found?.invariant, found?.path], [12, path]);
  const refused = await assertRejects(
    () => backup(storage, DATA, COPY, options),
    CorruptError,
    "has generation 1, and generation 2 is in a keyspace: run countd check, then countd repair",
  );
  assertEquals(refused.where.path, path);
  assertEquals(storage.readDirectory("/"), ["data"]);
  // As the message says: then the backup holds all but what the repair could not count.
  oracle.batches.at(-1)!.acknowledged = false;
  assertEquals(repair(storage, DATA, { ...options, out: null }).remaining, []);
  await backup(storage, DATA, COPY, options);
  await judgeCopy(disk, oracle);
});

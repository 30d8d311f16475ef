/**
 * Syncs that fail before the loop of the database runs, or after it has ended. The system may have
 * dropped the pages that it could not write, and reports success for the next sync. So each failed sync
 * leaves the failed mark.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CorruptError } from "../../src/base/errors.ts";
import {
  check,
  DatabaseFailedError,
  type DB,
  importDatabase,
  init,
  repairDatabase,
} from "../../src/database/mod.ts";
import { putFailedMark } from "../../src/file/checked_log/mod.ts";
import { OsError, type Storage, type StoredFile } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { using, withDatabase } from "./support.ts";

const paths = { map: "/map", log: "/log" };

/** A log with an entry that is only in the page cache, and a torn one behind it. */
async function torn(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 20 });
  const storage = disk.process("killed");
  const db = init(paths.map, paths.log, { storage, sync: "os" });
  await db.write("x", "1");
  await db.flush();
  await db.write("x", "2".repeat(20_000));
  const end = db.status().logBytes;
  await db.write("x", "3");
  storage.kill();
  const next = disk.twin();
  using file = next.process("tear").open(paths.log, { access: "write" });
  file.write(new Uint8Array([0xff]), end + 60);
  return next;
}

// The story: a start truncated a torn tail, its sync of the log failed, and no mark was left. The next
// start found nothing to truncate, and synced pages that the system took for written. It answered with
// entries that a power cut then removed, and the start after that found damage below a durable length.
Deno.test("A sync that fails while a start truncates the log leaves the mark, and the next start is refused", async () => {
  const disk = await torn();
  disk.observer = ({ kind, path, when }) =>
    kind === "sync" && path === paths.log && when === "before" ? "EIO" : undefined;
  const first = disk.process("first");
  assertThrows(() => init(paths.map, paths.log, { storage: first, sync: "always" }), OsError);
  disk.observer = null;
  first.kill();
  const second = disk.process("second");
  assertThrows(
    () => init(paths.map, paths.log, { storage: second }),
    CorruptError,
    "marked failed",
  );
  assertEquals(check(disk.process("check"), paths).map(({ invariant }) => invariant), [10]);
});

// The story: the last sync of a clean close failed. The database reported that and left no mark. It also
// kept the log open and locked, so the same process could not open or repair it any more.
Deno.test("A last sync that fails leaves the mark, and the files are released", async () => {
  await withDatabase(async ({ open, paths, storage }) => {
    let fails = false;
    const faulty = overridden<Storage>(storage, {
      open(path, options) {
        const file = storage.open(path, options);
        if (path !== paths.log) return file;
        return overridden<StoredFile>(file, {
          sync() {
            if (fails) throw new OsError("fsync", path, "EIO");
            file.sync();
          },
        });
      },
    });
    const db = open({ storage: faulty });
    await db.write("x", "1");
    fails = true;
    const error = await assertRejects(() => db.close(), DatabaseFailedError);
    assertEquals(await db.failed, error);
    assertEquals(check(storage, paths).map(({ invariant }) => invariant), [10]);
    assertThrows(() => open(), CorruptError, "marked failed");
    const report = repairDatabase(storage, paths, { out: null });
    assertEquals([report.entries, report.entriesLost], [1, 0]);
  });
});

Deno.test("A log that a clean close could not truncate is released, and the next start truncates it", async () => {
  await withDatabase(async ({ open, paths, storage }) => {
    const faulty = overridden<Storage>(storage, {
      open(path, options) {
        const file = storage.open(path, options);
        return overridden<StoredFile>(file, {
          truncate() {
            throw new OsError("ftruncate", path, "ENOSPC");
          },
        });
      },
    });
    await using(open(), (db) => void db.size);
    const db = open({ storage: faulty });
    await db.write("x", "1");
    assertEquals((await assertRejects(() => db.close(), OsError)).code, "ENOSPC");
    assertEquals(check(storage, paths), []);
    await using(open(), async (again) => assertEquals(await again.read("x"), "1"));
  });
});

// The story: a start checked for the mark while the owner still served, and found none. Then a sync of
// the owner failed; it left the mark and ended. The start got the locks, and served unreliable data.
Deno.test("A mark that is left between the first check and the locks is found", async () => {
  const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 20 });
  const owner = disk.process("owner");
  await init(paths.map, paths.log, { storage: owner, sync: "always" }).write("x", "1");
  const inner = disk.process("next");
  let hasLooked = false;
  const storage = overridden<Storage>(inner, {
    statusOrNull(path) {
      const status = inner.statusOrNull(path);
      if (path === `${paths.map}.failed` && !hasLooked) {
        hasLooked = true;
        putFailedMark(owner, `${paths.map}.failed`, "A sync failed");
        owner.kill();
      }
      return status;
    },
  });
  const start = (): DB => init(paths.map, paths.log, { storage });
  assertThrows(start, CorruptError, "marked failed");
  assertEquals(check(inner, paths).map(({ invariant }) => invariant), [10]);
  // It has released the files.
  assertEquals(repairDatabase(inner, paths, { out: null }).entries, 1);
  await using(start(), async (db) => assertEquals(await db.read("x"), "1"));
  assertEquals(check(inner, paths), []);
});

// The story: an import into a database that was marked failed put a new pair beside the mark, and
// reported success. But the pair could not be opened, and the mark concerned files that were gone.
Deno.test("An import into a database that is marked failed is refused, and says what to do", async () => {
  await withDatabase(({ paths, storage, directory, names }) => {
    Deno.mkdirSync(`${directory}/in`);
    Deno.writeTextFileSync(`${directory}/in/db.json`, '{"x":"1"}');
    putFailedMark(storage, `${paths.map}.failed`, "A sync failed");
    const act = () => importDatabase(storage, paths, `${directory}/in`);
    assertThrows(act, CorruptError, "remove the mark as well");
    assertEquals(names(), ["db.json.failed", "in"]);
    Deno.removeSync(`${paths.map}.failed`);
    assertEquals(act(), { keys: 1, entries: 0 });
    putFailedMark(storage, `${paths.map}.failed`, "A sync failed");
    assertThrows(act, CorruptError, "run countd db repair --in-place");
    repairDatabase(storage, paths, { out: null });
  });
});

// The story: every open makes the names of the pair durable, and syncing a directory opens it first. A
// start that had no free descriptor for that left the mark, although no sync had failed.
Deno.test("A start without a free descriptor for its directory leaves no mark", async () => {
  const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 20 });
  const storage = disk.process("server");
  await using(
    init(paths.map, paths.log, { storage }),
    async (db) => void await db.write("x", "1"),
  );
  const poor = overridden<Storage>(storage, {
    syncDirectory(path) {
      throw new OsError("open", path, "EMFILE");
    },
  });
  assertThrows(() => init(paths.map, paths.log, { storage: poor }), OsError, "EMFILE");
  await using(init(paths.map, paths.log, { storage }), async (db) => {
    assertEquals(await db.read("x"), "1");
  });
  assertEquals(check(storage, paths), []);
});

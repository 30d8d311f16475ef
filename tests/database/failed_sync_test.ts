/**
 * Syncs that fail where no loop of the database runs yet, or no longer. The system may have dropped the
 * pages that it could not write, and calls the next sync good: so each of them leaves the mark.
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
import { markFailed } from "../../src/database/files/failed_mark.ts";
import { OsError, type Storage, type StoredFile } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { using, withDatabase } from "./support.ts";

const paths = { map: "/map", log: "/log" };

/** An entry that only the page cache has, and a torn one behind it. */
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

// The story: a start cut a torn tail, and its sync of the log failed, which nobody remembered. The next
// start found nothing to cut, synced pages that the system took for written, and showed and answered
// what a power cut then took away: the start after it found damage below what was called durable.
Deno.test("D20 A sync that fails while a start cuts the log leaves the mark, and no start goes on", async () => {
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

// The story: the last sync of a clean end failed. The database said so and left no mark, and it kept
// the log open and locked: in the same process nobody could open or repair it any more.
Deno.test("D20 A last sync that fails leaves the mark, and lets go of the files", async () => {
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

Deno.test("A log that could not be cut at a clean end is let go, and cut by the next start", async () => {
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

// The story: a start looked for the mark while the owner still served, and found none. Then the owner's
// sync failed, he left the mark and ended; the start got the locks and served what nobody could trust.
Deno.test("D20 A mark that is left between the first look and the locks is seen", async () => {
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
        markFailed(owner, paths.map, "A sync failed");
        owner.kill();
      }
      return status;
    },
  });
  const start = (): DB => init(paths.map, paths.log, { storage });
  assertThrows(start, CorruptError, "marked failed");
  assertEquals(check(inner, paths).map(({ invariant }) => invariant), [10]);
  // It has let go of the files.
  assertEquals(repairDatabase(inner, paths, { out: null }).entries, 1);
  await using(start(), async (db) => assertEquals(await db.read("x"), "1"));
  assertEquals(check(inner, paths), []);
});

// The story: an import onto files of which a sync had failed put a new pair beside the mark, and said
// that all was well; but nothing opened it, and the mark was about files that were gone.
Deno.test("D20 An import is refused where the mark stands, and says what to do", async () => {
  await withDatabase(({ paths, storage, directory, names }) => {
    Deno.mkdirSync(`${directory}/in`);
    Deno.writeTextFileSync(`${directory}/in/db.json`, '{"x":"1"}');
    markFailed(storage, paths.map, "A sync failed");
    const act = () => importDatabase(storage, paths, `${directory}/in`);
    assertThrows(act, CorruptError, "remove the mark as well");
    assertEquals(names(), ["db.json.failed", "in"]);
    Deno.removeSync(`${paths.map}.failed`);
    assertEquals(act(), { keys: 1, entries: 0 });
    markFailed(storage, paths.map, "A sync failed");
    assertThrows(act, CorruptError, "run countd db repair --in-place");
    repairDatabase(storage, paths, { out: null });
  });
});

// The story: every open makes the names of the pair durable, and to sync a directory it is opened first.
// A start that found no descriptor for that left the mark, although nothing was unsynced.
Deno.test("D20 A start that finds no descriptor for its directory leaves no mark", async () => {
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

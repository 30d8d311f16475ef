/** A full disk makes calls fail with nothing changed, and never kills the process. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  check,
  type DB,
  exportDatabase,
  importDatabase,
  init,
  repairDatabase,
} from "../../src/database/mod.ts";
import { OsError, type Storage } from "../../src/file/mod.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { using, withDatabase } from "./support.ts";

const paths = { map: "/map", log: "/log" };
const pageBytes = 4096;

function open(storage: Storage): DB {
  return init(paths.map, paths.log, { storage, sync: "os" });
}

/** A database as `cp --sparse=always` copies it: with a hole in place of each page of zeros. */
async function sparseCopy(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ sizeBytes: 4 * 2 ** 20, mappingReserveBytes: 2 * 2 ** 20 });
  const storage = disk.process("maker");
  const db = open(storage);
  for (let index = 0; index < 10; index++) await db.write(`${index}`, "v".repeat(1000));
  // The page in which the log ends is all zeros too.
  await db.write("zeros", "\0".repeat(2 * pageBytes));
  await db.snapshot();
  await db.close();
  for (const path of [paths.map, paths.log]) {
    using file = storage.open(path, { access: "write" });
    const { size, allocatedBytes } = file.status();
    const page = new Uint8Array(pageBytes);
    for (let offset = 0; offset < size; offset += pageBytes) {
      const length = file.read(page, offset);
      if (page.subarray(0, length).every((byte) => byte === 0)) file.deallocate(offset, pageBytes);
    }
    assert(file.status().allocatedBytes < allocatedBytes, `${path} has no holes`);
  }
  return disk;
}

/** Another program allocates every page that is left. */
function fill(storage: Storage): void {
  using file = storage.open("/other", { access: "write", create: "missing" });
  const { freeBytes } = storage.space("/");
  if (freeBytes > 0) file.allocate(0, freeBytes);
  assertEquals(storage.space("/").freeBytes, 0);
}

// The story: a map that was copied sparsely was mapped with its holes. Then the disk became full, the
// next snapshot stored into a hole, and the process died of SIGBUS.
Deno.test("A map with holes gets its space when it is opened, and a full disk causes no SIGBUS later", async () => {
  const disk = await sparseCopy();
  const storage = disk.process("server");
  const db = open(storage);
  await db.write("a", "b");
  fill(storage);
  await db.snapshot();
  await db.close();
  assertEquals(disk.space.storesIntoHoles, 0);
  assertEquals(check(storage, paths), []);
});

Deno.test("A map with holes is refused while the disk is full, and opened when there is space", async () => {
  const disk = await sparseCopy();
  const storage = disk.process("server");
  fill(storage);
  assertEquals(assertThrows(() => open(storage), OsError).code, "ENOSPC");
  assertEquals(check(storage, paths), []);
  storage.unlink("/other");
  const db = open(storage);
  assertEquals(await db.read("9"), "v".repeat(1000));
  await db.close();
  assertEquals(disk.space.storesIntoHoles, 0);
  assertEquals(check(storage, paths), []);
});

// The story: a torn tail is copied before it is truncated. Without space for the copy every restart by
// the supervisor left another LOG.torn-N, and these took what little space became free.
Deno.test("A start without space for the copy of a torn tail leaves nothing behind", async () => {
  await withDatabase(async ({ open, storage, names, read, put }) => {
    const db = open({ sync: "os" });
    await db.write("x", "1");
    await db.flush();
    const end = db.status().logBytes;
    await db.write("x", "2");
    await db.abandon();
    const torn = read("log");
    torn[end + 60] = 0xee;
    put("log", torn);
    const faults = new Faults();
    faults.failFrom("write", 1, "ENOSPC");
    for (let start = 0; start < 3; start++) {
      const error = assertThrows(() => open({ storage: faultyStorage(storage, faults) }), OsError);
      assertEquals(error.code, "ENOSPC");
    }
    assertEquals(names(), ["db.json", "log.json"]);
    assertEquals(read("log"), torn);
    await using(open(), async (again) => assertEquals(await again.read("x"), "1"));
    assertEquals(names(), ["db.json", "log.json", "log.json.torn-1"]);
  });
});

// The story: a repair into a directory had space for the log and none for the map. It left the log, and
// the same command was refused afterwards, because log.json existed already.
Deno.test("A repair, an export and an import on a full disk leave nothing, and succeed when there is space", async () => {
  await withDatabase(async ({ open, paths, storage, directory }) => {
    await using(open(), async (db) => void await db.write("x", "1"));
    const out = `${directory}/out`;
    const json = `${directory}/json`;
    const copy = { map: `${directory}/copy/db.json`, log: `${directory}/copy/log.json` };
    const acts = [
      { makes: "out", act: (on: Storage) => void repairDatabase(on, paths, { out }) },
      {
        makes: "json",
        act: (on: Storage) => using(open(), (db) => void exportDatabase(db, on, json)),
      },
      { makes: "copy", act: (on: Storage) => void importDatabase(on, copy, json) },
    ];
    for (const { makes, act } of acts) {
      const made = () => [...Deno.readDirSync(`${directory}/${makes}`)].map(({ name }) => name);
      let failures = 0;
      for (let nth = 1;; nth++) {
        const faults = new Faults();
        for (const kind of ["allocate", "write"] as const) faults.failAt(kind, nth, "ENOSPC");
        try {
          await act(faultyStorage(storage, faults));
          break;
        } catch (error) {
          if (!(error instanceof OsError)) throw error;
          failures++;
          assertEquals(made(), [], `${makes} after failure ${nth}`);
        }
      }
      assert(failures >= 2, `${makes} failed ${failures} times`);
      assertEquals(made().sort(), ["db.json", "log.json"]);
    }
    assertEquals(check(storage, copy), []);
    assertEquals(check(storage, { map: `${out}/db.json`, log: `${out}/log.json` }), []);
  });
});

/**
 * Broken files of every kind: an open gives the stored state, or refuses and says where, and does
 * nothing else. A repair makes a valid database of them.
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CorruptError } from "../../src/base/errors.ts";
import { check, type DB, init, repairDatabase } from "../../src/database/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { databaseText, setOf } from "./model.ts";
import { using, withDatabase } from "./support.ts";
import { FullCount } from "../support/full_count.ts";

const paths = { map: "/map", log: "/log" };

interface Sample {
  readonly disk: SimulatedDisk;
  /** The state that was stored. */
  readonly text: string;
}

/** A database with a snapshot, entries behind it, a cut, and entries that are not committed. */
async function sample(end: "closed" | "killed"): Promise<Sample> {
  const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 20 });
  const storage = disk.process("maker");
  const db = init(paths.map, paths.log, { storage, sync: "always" });
  await db.write("x", "one");
  await db.write("ü", "two");
  await db.snapshot();
  await db.write("x", "three");
  await db.log.appendEntries([setOf("y", "4", 5n), setOf("z", "5", 5n)]);
  await db.log.replaceFrom(4, [setOf("z", "6", 6n), setOf("z", "7", 6n)]);
  await db.log.commit(5);
  await db.write("last", "8");
  const text = databaseText(db);
  if (end === "closed") await db.close();
  else storage.kill();
  return { disk: disk.twin(), text };
}

function open(storage: Storage): DB {
  return init(paths.map, paths.log, { storage, create: false });
}

/** The state that an open finds, or null if it refuses. Any other error passes through. */
async function found(disk: SimulatedDisk): Promise<string | null> {
  try {
    const db = open(disk.process("reader"));
    const text = databaseText(db);
    await db.abandon();
    return text;
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    assertStringIncludes(error.message, "countd db repair");
    assert(error.where.offset >= 0);
    return null;
  }
}

function contentOf(disk: SimulatedDisk, path: string): Uint8Array {
  using file = disk.process("look").open(path, { access: "read" });
  const bytes = new Uint8Array(file.status().size);
  file.read(bytes, 0);
  return bytes;
}

/** Offsets of the bytes that are not zero, and of some of the others: of few in the normal form. */
function interesting(bytes: Uint8Array, count: FullCount, every = 1): Iterable<number> {
  const offsets = Array.from(bytes, (_, offset) => offset);
  const isIn = (offset: number) => bytes[offset] !== 0 || offset % 331 === 0;
  const normal = new Set(offsets.filter(isIn).filter((_, index) => index % every === 0));
  const full = offsets.filter((offset) => isIn(offset) || offset % 7 === 0);
  return count.choices(full, (offset) => normal.has(offset));
}

for (const which of ["map", "log"] as const) {
  const flips = new FullCount(`inverted bits of the ${which}`);
  Deno.test(`One inverted bit anywhere in the ${which} is harmless, or the files are refused untouched`, async () => {
    const { disk, text } = await sample("closed");
    const bytes = contentOf(disk, paths[which]);
    let refused = 0;
    for (const offset of interesting(bytes, flips)) {
      const broken = disk.twin();
      const flipped = new Uint8Array([bytes[offset] as number ^ (1 << (offset % 8))]);
      {
        using file = broken.process("flip").open(paths[which], { access: "write" });
        file.write(flipped, offset);
      }
      const before = broken.digest();
      const state = await found(broken);
      if (state === null) {
        refused++;
        assertEquals(broken.digest(), before, `byte ${offset}: the refused files were changed`);
        const violations = check(broken.process("check"), paths);
        assert(violations.length > 0, `byte ${offset}: check sees nothing`);
      } else assertEquals(state, text, `byte ${offset}`);
    }
    // Each header copy of the map can replace the other, so few of its bits matter.
    assert(flips.isShort || refused > (which === "log" ? 100 : 10), `${refused} refused`);
  });

  Deno.test(`A ${which} that is truncated at any byte is refused, or gives the stored state`, async () => {
    const { disk, text } = await sample("closed");
    const size = contentOf(disk, paths[which]).length;
    const step = which === "map" ? 509 : 1;
    for (let cut = which === "log" ? 4000 : 1; cut < size; cut += step) {
      const broken = disk.twin();
      {
        using file = broken.process("cut").open(paths[which], { access: "write" });
        file.truncate(cut);
      }
      const before = broken.digest();
      const state = await found(broken);
      if (state === null) {
        assertEquals(broken.digest(), before, `cut at ${cut}: the refused files were changed`);
      }
      if (which === "log") assertEquals(state, null, `cut at ${cut}`);
      else assert(state === null || state === text, `cut at ${cut}`);
    }
  });
}

Deno.test("After a kill, a broken end of the log that was never durable is truncated, kept and reported", async () => {
  const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 20 });
  const storage = disk.process("killed");
  const db = init(paths.map, paths.log, { storage, sync: "os" });
  await db.write("x", "1");
  await db.flush();
  const durable = db.status().logBytes;
  await db.write("x", "2");
  const end = db.status().logBytes;
  const states = new Map<number, string>();
  storage.kill();
  for (let offset = durable; offset < end; offset++) {
    const broken = disk.twin();
    {
      using file = broken.process("flip").open(paths.log, { access: "write" });
      const byte = new Uint8Array(1);
      file.read(byte, offset);
      file.write(new Uint8Array([byte[0] as number ^ 0x10]), offset);
    }
    const said: string[] = [];
    const events = { report: (_: string, event: string) => void said.push(event) };
    const again = init(paths.map, paths.log, { storage: broken.process("next"), events });
    states.set(offset, await again.read("x"));
    assertEquals(said, ["database log truncated"], `byte ${offset}`);
    await again.write("x", "3");
    await again.close();
    assertEquals(contentOf(broken, "/log.torn-1").length > 0, true);
    const third = open(broken.process("third"));
    assertEquals(await third.read("x"), "3");
    assertEquals(third.log.length, 2);
    await third.close();
    assertEquals(check(broken.process("check"), paths), []);
  }
  assertEquals([...new Set(states.values())], ["1"]);
});

Deno.test("Damage in the middle of the log, however old, is refused with its offset and nothing changed", async () => {
  await withDatabase(async ({ open, read, put, paths }) => {
    let place = 0;
    await using(open({ sync: "os" }), async (db) => {
      for (let index = 0; index < 3000; index++) {
        if (index === 500) place = db.status().logBytes;
        await db.write(`${index % 7}`, "v".repeat(100));
      }
      await db.snapshot();
      for (let index = 0; index < 10; index++) await db.write("after", `${index}`);
    });
    const whole = read("log");
    const broken = whole.slice();
    broken[place + 70] = 0;
    put("log", broken);
    const error = assertThrows(() => open(), CorruptError);
    assertStringIncludes(error.message, `Damage in ${paths.log} at byte ${place}:`);
    assertEquals(error.where, { path: paths.log, offset: place });
    assertEquals(read("log"), broken);
    put("log", whole);
    await using(open(), (db) => assertEquals(db.log.length, 3010));
  });
});

Deno.test("Repair works on a copy, loses only what is damaged, and keeps what it replaces", async () => {
  await withDatabase(async ({ open, read, put, paths, storage, directory, names }) => {
    let place = 0;
    await using(open(), async (db) => {
      for (let index = 0; index < 50; index++) {
        if (index === 20) place = db.status().logBytes;
        await db.write(`key-${index}`, `value-${index}`);
      }
    });
    const broken = read("log");
    broken[place + 60] = (broken[place + 60] as number) ^ 1;
    put("log", broken);
    const report = repairDatabase(storage, paths, { out: `${directory}/out` });
    assertEquals(report.entries, 49);
    assertEquals(report.entriesLost, 1);
    assertEquals(report.damages.map(({ path, from }) => [path, from]), [[paths.log, place]]);
    assertEquals(read("log"), broken);
    const copy = { map: `${directory}/out/db.json`, log: `${directory}/out/log.json` };
    assertEquals(report.written, copy);
    assertEquals(check(storage, copy), []);
    const again = repairDatabase(storage, paths, { out: null });
    assertEquals(again.kept, [`${paths.map}.damaged`, `${paths.log}.damaged`]);
    assertEquals(Deno.readFileSync(`${paths.log}.damaged`), broken);
    await using(open(), async (db) => {
      assertEquals(db.size, 49);
      assertEquals(await db.read("key-49"), "value-49");
      assertEquals(db.log.length, 49);
      await db.write("key-20", "again");
    });
    assert(names().includes("db.json.damaged"));
  });
});

Deno.test("Repair knows the value of a lost entry from the snapshot", async () => {
  await withDatabase(async ({ open, read, put, paths, storage }) => {
    let place = 0;
    await using(open(), async (db) => {
      await db.write("x", "old");
      place = db.status().logBytes;
      await db.write("x", "new");
      await db.snapshot();
      await db.write("y", "1");
    });
    const broken = read("log");
    broken[place + 60] = 0;
    put("log", broken);
    const report = repairDatabase(storage, paths, { out: null });
    assertEquals([report.keys, report.entries, report.entriesLost], [2, 2, 1]);
    await using(open(), async (db) => assertEquals(await db.read("x"), "new"));
  });
});

Deno.test("Repair makes the map from the log alone, and says so", async () => {
  await withDatabase(async ({ open, put, paths, storage }) => {
    await using(open(), async (db) => {
      for (let index = 0; index < 20; index++) await db.write(`${index % 3}`, `${index}`);
    });
    put("map", "");
    assertThrows(() => open(), CorruptError, "missing or empty");
    const report = repairDatabase(storage, paths, { out: null });
    assertEquals(report.remarks, [`${paths.map} has no whole header`]);
    await using(open(), async (db) => {
      assertEquals([await db.read("0"), await db.read("1"), await db.read("2")], [
        "18",
        "19",
        "17",
      ]);
      assertEquals(db.log.length, 20);
    });
  });
});

Deno.test("Repair takes the map from the snapshot if the log is gone", async () => {
  await withDatabase(async ({ open, put, paths, storage }) => {
    await using(open(), async (db) => {
      await db.write("x", "1");
      await db.snapshot();
    });
    put("log", "");
    const report = repairDatabase(storage, paths, { out: null });
    assertEquals([report.keys, report.entries], [1, 0]);
    await using(open(), async (db) => assertEquals(await db.read("x"), "1"));
  });
});

const brokenPairs = new FullCount("broken bytes of pairs");

Deno.test("Repair reads every pair with a broken byte and a valid header, and writes a valid pair", async () => {
  const { disk } = await sample("closed");
  const bytes = contentOf(disk, paths.log);
  for (const offset of interesting(bytes, brokenPairs, 5)) {
    const broken = disk.twin();
    {
      using file = broken.process("flip").open(paths.log, { access: "write" });
      file.write(new Uint8Array([bytes[offset] as number ^ 0xff]), offset);
    }
    const storage = broken.process("repair");
    const report = repairDatabase(storage, paths, { out: null });
    assertEquals(check(storage, paths), [], `byte ${offset}`);
    const db = open(storage);
    // If the very end is broken, the log ends before the last entry, and the report says so.
    const isCut = report.remarks.some((remark) => remark.includes("were cut"));
    assertEquals(await db.read("last").catch(() => null), isCut ? null : "8", `byte ${offset}`);
    assertEquals(await db.read("ü"), "two");
    await db.abandon();
  }
});

Deno.test("Repair takes the first JSON value of the original's broken files", async () => {
  await withDatabase(async ({ open, put, paths, storage }) => {
    put("map", '{"x":"h"}lo"}');
    put("log", '[{"Command":"SET","Key":"x","Value":"h","Term":1}],"Term":1}]');
    const report = repairDatabase(storage, paths, { out: null });
    assertEquals(report.kept, [`${paths.map}.damaged`, `${paths.log}.damaged`]);
    assertEquals(report.remarks.length, 2);
    await using(open(), async (db) => {
      assertEquals(await db.read("x"), "h");
      assertEquals([...db.log.entries], [setOf("x", "h", 1n)]);
    });
  });
});

Deno.test("Repair refuses garbage and leaves it untouched", async () => {
  await withDatabase(({ put, paths, storage, names, directory }) => {
    put("map", "hello");
    for (const out of [null, `${directory}/out`]) {
      const error = assertThrows(() => repairDatabase(storage, paths, { out }), CorruptError);
      assertStringIncludes(error.message, "Nothing can be repaired");
    }
    assertEquals(names().filter((name) => name !== "out" && name !== "log.json"), ["db.json"]);
    assertEquals(Deno.readTextFileSync(paths.map), "hello");
  }, { checks: false });
});

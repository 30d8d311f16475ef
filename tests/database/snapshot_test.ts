import { assert, assertEquals, assertRejects } from "@std/assert";
import { OsError } from "../../src/file/mod.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { databaseText, Model } from "./model.ts";
import { using, withDatabase } from "./support.ts";

Deno.test("A snapshot that is too large for the place before the newest one is written behind it", async () => {
  await withDatabase(async ({ open, paths }) => {
    const model = new Model();
    await using(open({ sync: "os" }), async (db) => {
      const fill = async (value: string) => {
        for (let index = 0; index < 100; index++) {
          const step = { call: "write", key: `key-${index}`, value } as const;
          await db.write(step.key, step.value);
          model.take(step);
        }
        await db.snapshot();
      };
      // Each of these goes behind the one before, until one fits at the front.
      for (const letter of ["a", "b", "c"]) await fill(letter.repeat(1000));
      await fill("€".repeat(1000));
      await fill("d".repeat(1000));
      assertEquals(db.status().snapshotGeneration, 6);
      assertEquals(databaseText(db), model.toText());
    });
    assert(Deno.statSync(paths.map).size >= 600_000);
    await using(open(), (db) => assertEquals(databaseText(db), model.toText()));
  });
});

// The story: the map file had grown, and the longer mapping was refused for want of memory. The file was
// treated as mapped to its new length, so every later snapshot stored beyond the end of the mapping.
Deno.test("After a refused mapping the next snapshot is valid", async () => {
  await withDatabase(async ({ open, storage }) => {
    const faults = new Faults();
    await using(open({ storage: faultyStorage(storage, faults), sync: "os" }), async (db) => {
      for (let index = 0; index < 300; index++) await db.write(`${index}`, "v".repeat(1000));
      faults.failAt("map", 1, "ENOMEM");
      const error = await assertRejects(() => db.snapshot(), OsError);
      assertEquals(error.code, "ENOMEM");
      await db.snapshot();
      assertEquals(db.status().snapshotGeneration, 2);
    });
    await using(open(), (db) => assertEquals(db.size, 300));
  });
});

Deno.test("The file stays at a few times the size of the map, however many snapshots are written", async () => {
  await withDatabase(async ({ open, paths }) => {
    await using(open({ sync: "os" }), async (db) => {
      for (let index = 0; index < 300; index++) await db.write(`key-${index}`, "v".repeat(1000));
      for (let round = 0; round < 40; round++) {
        await db.write("key-0", `${round}`);
        await db.snapshot();
      }
    });
    assert(Deno.statSync(paths.map).size <= 2 ** 21, `${Deno.statSync(paths.map).size}`);
    await using(open(), async (db) => assertEquals(await db.read("key-0"), "39"));
  });
});

Deno.test("A start replays the log from the newest snapshot on only", async () => {
  await withDatabase(async ({ open }) => {
    await using(open({ sync: "os" }), async (db) => {
      for (let index = 0; index < 5000; index++) await db.write(`${index % 10}`, `${index}`);
      await db.snapshot();
      await db.write("after", "1");
    });
    await using(open(), async (db) => {
      assert(db.status().replayBytes < 200, `${db.status().replayBytes}`);
      assertEquals([await db.read("9"), await db.read("after")], ["4999", "1"]);
      assertEquals(db.log.entries.at(1234)?.value, "1234");
    });
  });
});

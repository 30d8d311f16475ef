/** An export and the import of it make the same database, or the export is refused. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  exportDatabase,
  importDatabase,
  init,
  readDatabase,
  RefusedError,
} from "../../src/database/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { runCountd } from "../support/process.ts";
import { Random, seedForTest } from "../support/random.ts";
import { databaseText, Model, perform, setOf, type Step } from "./model.ts";
import { using, withDatabase } from "./support.ts";

const imports = new FullCount("exports and imports");

function randomStep(random: Random, model: Model): Step {
  const entry = () => setOf(`k${random.below(4)}`, `v${random.below(3)}`, BigInt(random.below(3)));
  const kind = random.below(8);
  if (kind < 3) return { call: "write", key: `k${random.below(4)}`, value: `v${random.below(3)}` };
  if (kind === 3) return { call: "append", entries: [entry(), entry()] };
  if (kind === 4) {
    return { call: "set", entries: model.entries.slice(0, random.below(model.entries.length + 1)) };
  }
  return { call: "commit", length: model.entries.length };
}

// Story: an entry that was not committed, or was removed from the log later, came back as committed.
Deno.test("An import of what was exported is the same database, whatever its log has been through", async () => {
  const random = new Random(seedForTest("identity"));
  const count = { same: 0, refused: 0 };
  for (const _ of imports.rounds(40, 400)) {
    await withDatabase(async ({ directory, paths, storage, open }) => {
      const model = new Model();
      await using(open({ sync: "os" }), async (db) => {
        for (let step = random.between(1, 12); step > 0; step--) {
          const next = randomStep(random, model);
          await perform(db, next);
          model.take(next);
        }
      });
      const out = `${directory}/out`;
      {
        using read = readDatabase(storage, paths);
        assert(read !== null);
        const applied = new Map(model.map);
        for (const { key, value } of model.entries) applied.set(key, value);
        const isFaithful = model.committed === model.entries.length &&
          [...applied].every(([key, value]) => model.map.get(key) === value);
        if (!isFaithful) {
          assertThrows(() => exportDatabase(read, storage, out), RefusedError, "cannot say so");
          count.refused++;
          return;
        }
        exportDatabase(read, storage, out);
      }
      const copy = { map: `${directory}/copy`, log: `${directory}/copy-log` };
      importDatabase(storage, copy, out);
      await using(init(copy.map, copy.log, { storage }), (db) => {
        assertEquals(databaseText(db), model.toText());
      });
      count.same++;
    });
  }
  // Few seeds bring less than a handful of either in a short run.
  assert(count.same > 0 && count.refused > 0, JSON.stringify(count));
});

Deno.test("countd db export refuses a database whose import would be another one, and leaves no file", async () => {
  await withDatabase(async ({ directory, paths, open }) => {
    const args = ["--db", paths.map, "--log", paths.log];
    await using(open(), async (db) => {
      await db.write("a", "1");
      await db.log.appendEntry(setOf("a", "2"));
    });
    const early = await runCountd(["db", "export", `${directory}/out`, ...args]);
    assertEquals([early.code, early.text], [5, ""], early.stderr);
    assertMatch(early.stderr, /Entries 1 to 1 of the log are not committed/);
    await using(open(), async (db) => {
      await db.log.commit(2);
      await db.log.setEntries([setOf("a", "1")]);
    });
    const replaced = await runCountd(["db", "export", `${directory}/out`, ...args]);
    assertEquals([replaced.code, replaced.text], [5, ""], replaced.stderr);
    assertMatch(replaced.stderr, /Key "a" has a value whose entry was removed/);
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name).includes("out"), false);
  });
});

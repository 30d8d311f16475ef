import { assert, assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { exportDatabase } from "../../src/database/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { assertIsModel, Model, perform, setOf, type Step } from "./model.ts";
import { using, withDatabase } from "./support.ts";

Deno.test("Three appended entries are exported as an array of three in order, with the exact member names", async () => {
  await withDatabase(async ({ open, storage, directory }) => {
    await using(open(), async (db) => {
      for (const [index, key] of ["a", "b", "c"].entries()) {
        assertEquals(await db.log.appendEntry(setOf(key, `${index}`, BigInt(index))), index);
      }
      await db.log.commit(3);
      exportDatabase(db, storage, `${directory}/out`);
    });
    assertEquals(
      Deno.readTextFileSync(`${directory}/out/log.json`),
      '[{"Command":"SET","Key":"a","Value":"0","Term":0},' +
        '{"Command":"SET","Key":"b","Value":"1","Term":1},' +
        '{"Command":"SET","Key":"c","Value":"2","Term":2}]',
    );
    assertEquals(Deno.readTextFileSync(`${directory}/out/db.json`), '{"a":"0","b":"1","c":"2"}');
  });
});

Deno.test("setEntries with fewer entries leaves these, also after a restart", async () => {
  await withDatabase(async ({ open }) => {
    const entries = [setOf("a", "1"), setOf("b", "2"), setOf("c", "3")];
    await using(open(), async (db) => {
      await db.log.setEntries(entries);
      assertEquals(await db.log.setEntries(entries.slice(0, 1)), 1);
    });
    await using(open(), (db) => assertEquals([...db.log.entries], entries.slice(0, 1)));
  });
});

Deno.test("setEntries without entries is exported as [], and the log is empty after a restart", async () => {
  await withDatabase(async ({ open, storage, directory }) => {
    await using(open(), async (db) => {
      await db.log.appendEntry(setOf("a", "1"));
      assertEquals(await db.log.setEntries([]), 0);
      exportDatabase(db, storage, `${directory}/out`);
    });
    assertEquals(Deno.readTextFileSync(`${directory}/out/log.json`), "[]");
    await using(open(), (db) => assertEquals(db.log.length, 0));
  });
});

Deno.test("Terms are exact to 64 bits, through restart, export and import", async () => {
  await withDatabase(async ({ open, storage, directory }) => {
    const terms = [0n, 1n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
    await using(open(), async (db) => {
      for (const term of terms) await db.log.appendEntry(setOf("x", "1", term));
      await db.log.appendEntry({ command: "SET", key: "x", value: "1", term: 2 ** 53 - 1 });
      await db.log.commit(db.log.length);
    });
    const { importDatabase, init } = await import("../../src/database/mod.ts");
    await using(open(), (db) => {
      assertEquals([...db.log.entries].map(({ term }) => term), [...terms, 2n ** 53n - 1n]);
      exportDatabase(db, storage, `${directory}/out`);
    });
    const copy = { map: `${directory}/copy`, log: `${directory}/copy-log` };
    importDatabase(storage, copy, `${directory}/out`);
    await using(init(copy.map, copy.log, { storage }), (db) => {
      assertEquals(db.log.entries.at(5)?.term, 2n ** 63n - 1n);
      assertEquals(db.log.entries.at(-2)?.term, -(2n ** 63n));
    });
  });
});

Deno.test("A term that is not exact, or past 64 bits, is refused", async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      for (const term of [2 ** 53, 1.5, NaN, 2n ** 63n, -(2n ** 63n) - 1n]) {
        const entry = { command: "SET", key: "x", value: "1", term };
        await assertRejects(() => db.log.appendEntry(entry), UsageError, "Invalid term");
        await assertRejects(() => db.write("x", "1", { term }), UsageError, "Invalid term");
      }
      assertEquals(db.log.length, 0);
    });
  });
});

Deno.test("An appended entry reaches the map only by a commit, once and in order", async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      await db.log.appendEntries([setOf("x", "1"), setOf("x", "2"), setOf("y", "3")]);
      assertEquals(db.size, 0);
      assertEquals(await db.log.commit(2), 2);
      assertEquals(await db.read("x"), "2");
      await assertRejects(() => db.read("y"));
      // A commit never goes back, and one beyond the end is refused.
      assertEquals(await db.log.commit(1), 2);
      await assertRejects(() => db.log.commit(4), UsageError, "the log has 3");
    });
    await using(open(), async (db) => {
      assertEquals(db.log.committed, 2);
      assertEquals(db.size, 1);
      await db.write("z", "4");
      // A write commits the entries before it.
      assertEquals(await db.read("y"), "3");
    });
  });
});

Deno.test("Entries of other commands stay in the log and do not change the map", async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      await db.log.appendEntry({ command: "NOP", key: "x", value: "1", term: 0n });
      await db.log.commit(1);
      assertEquals(db.size, 0);
    });
  });
});

Deno.test("A write without a term takes over the term of the last entry", async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      await db.write("a", "1", { term: 7 });
      await db.write("b", "2");
    });
    await using(open(), async (db) => {
      await db.write("c", "3");
      assertEquals([...db.log.entries].map(({ term }) => term), [7n, 7n, 7n]);
    });
  });
});

Deno.test("Entries are found by index across blocks, truncations and commits", async () => {
  await withDatabase(async ({ open }) => {
    const value = "v".repeat(1000);
    await using(open({ sync: "os" }), async (db) => {
      for (let index = 0; index < 500; index++) await db.log.appendEntry(setOf(`${index}`, value));
      await db.log.commit(100);
      await db.log.replaceFrom(333, []);
      for (let index = 333; index < 700; index++) {
        await db.log.appendEntry(setOf(`new-${index}`, value));
        if (index % 50 === 0) await db.log.commit(index);
      }
    });
    await using(open(), (db) => {
      const { entries } = db.log;
      assertEquals(entries.length, 700);
      for (const index of [0, 1, 63, 64, 99, 100, 332]) {
        assertEquals(entries.at(index)?.key, `${index}`);
      }
      for (const index of [333, 334, 400, 699]) {
        assertEquals(entries.at(index)?.key, `new-${index}`);
      }
      assertEquals(entries.at(-1)?.key, "new-699");
      assertEquals(entries.at(700), undefined);
      assertEquals(entries.slice(330, 335).map(({ key }) => key), [
        "330",
        "331",
        "332",
        "new-333",
        "new-334",
      ]);
      assertEquals(entries.slice(5, 2), []);
      let count = 0;
      for (const entry of entries) assertEquals(entry.key.endsWith(`${count++}`), true);
      assertEquals(count, 700);
    });
  });
});

Deno.test("An iteration over the entries may stay open while the log grows", async () => {
  await withDatabase(async ({ open }) => {
    await using(open({ sync: "os" }), async (db) => {
      for (let index = 0; index < 600; index++) await db.write(`${index}`, "1");
      let seen = 0;
      for (const entry of db.log.entries) {
        assertEquals(entry.key, seen === 600 ? "large" : `${seen}`);
        if (seen++ === 10) await db.write("large", "x".repeat(2 ** 20));
      }
      assertEquals(seen, 601);
    });
  });
});

const randomSteps = new FullCount("database model");

Deno.test("Random steps, restarts and snapshots always agree with a plain model", async () => {
  const random = new Random(seedForTest("database model"));
  for (const _ of randomSteps.rounds(8, 200)) {
    await withDatabase(async ({ open }) => {
      const model = new Model();
      let db = open({ sync: random.pick(["interval", "os"]) });
      for (let act = 0; act < 60; act++) {
        const chance = random.fraction();
        if (chance < 0.08) {
          await db.close();
          db = open({ sync: random.pick(["interval", "os", "always"]) });
          assertIsModel(db, model);
        } else if (chance < 0.16) await db.snapshot();
        else {
          const step = randomStep(random, model);
          model.take(step);
          await perform(db, step);
        }
      }
      assertIsModel(db, model);
      await db.close();
    });
  }
});

function randomStep(random: Random, model: Model): Step {
  const entry = () =>
    setOf(
      random.pick(["a", "b", "ключ", "__proto__", ""]),
      random.pick(["", "1", "😀", "z".repeat(3000)]),
      random.bigInt64(),
    );
  const { length } = model.entries;
  switch (random.below(5)) {
    case 0:
      return { call: "append", entries: [entry(), entry()].slice(0, random.between(1, 2)) };
    case 1: {
      const kept = model.entries.slice(0, random.between(0, length));
      return { call: "set", entries: [...kept, ...random.chance(0.5) ? [entry(), entry()] : []] };
    }
    case 2:
      return { call: "commit", length: random.between(0, length) };
    default: {
      const { key, value } = entry();
      return { call: "write", key, value };
    }
  }
}

Deno.test("Text that is not well-formed is refused, and the map and the log stay as they are", async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      await assertRejects(() => db.write("\ud800", "1"), UsageError, "surrogate");
      await assertRejects(() => db.write("x", "a\udc00"), UsageError, "surrogate");
      assert(db.size === 0 && db.log.length === 0);
      await db.write("bom", "\ufeffx");
    });
    await using(open(), async (db) => assertEquals(await db.read("bom"), "\ufeffx"));
  });
});

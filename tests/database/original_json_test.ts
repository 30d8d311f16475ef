import { assertEquals, assertThrows } from "@std/assert";
import {
  exportDatabase,
  goEntry,
  importDatabase,
  init,
  originalNames,
} from "../../src/database/mod.ts";
import {
  compareBytes,
  endOfFirstValue,
  goString,
  parseOriginalLog,
  parseOriginalMap,
} from "../../src/database/convert/original_json.ts";
import { CorruptError, FailedError, NotFoundError } from "../../src/base/errors.ts";
import { Random, seedForTest } from "../support/random.ts";
import { databaseText, setOf } from "./model.ts";
import { using, withDatabase } from "./support.ts";

Deno.test("Strings are escaped as Go's encoder does it", () => {
  assertEquals(goString('<b>&"\\\n\r\t'), '"\\u003cb\\u003e\\u0026\\"\\\\\\n\\r\\t"');
  assertEquals(goString("\b\f\u0000\u001f\u007f"), '"\\u0008\\u000c\\u0000\\u001f\u007f"');
  assertEquals(goString("\u2028\u2029ü😀/'"), '"\\u2028\\u2029ü😀/\'"');
});

Deno.test("Entries have the members of the original in its order, with terms as exact numbers", () => {
  assertEquals(
    goEntry(setOf("k", "<", 2n ** 53n + 1n)),
    '{"Command":"SET","Key":"k","Value":"\\u003c","Term":9007199254740993}',
  );
});

Deno.test("Keys are sorted by their bytes, as Go sorts them, not by their UTF-16 units", () => {
  const keys = ["\u{1f600}", "\uffee", "a", "ü", "", "ab", "Z"];
  const byBytes = [...keys].sort((left, right) => {
    const [one, other] = [left, right].map((text) => new TextEncoder().encode(text));
    return Number(one?.toHex().localeCompare(other?.toHex() ?? "", "en"));
  });
  assertEquals([...keys].sort(compareBytes), byBytes);
});

Deno.test("What the encoder writes, the reader reads, for any text", () => {
  const random = new Random(seedForTest("go strings"));
  for (let round = 0; round < 500; round++) {
    const text = String.fromCodePoint(
      ...Array.from({ length: random.below(12) }, () =>
        random.pick([
          random.below(0x80),
          random.below(0xd800),
          random.between(0xe000, 0x10ffff),
        ])),
    );
    const bytes = new TextEncoder().encode(`{${goString(text)}:${goString(text)}}`);
    assertEquals(parseOriginalMap(bytes), [[text, text]]);
    const entry = setOf(text, text, random.bigInt64());
    assertEquals(parseOriginalLog(new TextEncoder().encode(`[${goEntry(entry)}]`)), [entry]);
  }
});

Deno.test("The end of the first JSON value is found behind quotes, escapes and nesting", () => {
  assertEquals(endOfFirstValue('{"x":"h"}lo"}'), 9);
  assertEquals(endOfFirstValue('  [{"a":"}]\\""}] tail'), 16);
  assertEquals(endOfFirstValue("nullommand"), 4);
  assertEquals(endOfFirstValue('{"x":"never ends'), null);
  assertEquals(endOfFirstValue("hello"), null);
});

Deno.test("Export and import carry a database over exactly", async () => {
  await withDatabase(async ({ open, storage, directory, paths }) => {
    const text = await using(open(), async (db) => {
      for (const key of ["b", "a", "__proto__", "<k>", "😀", "\uffee"]) {
        await db.write(key, `${key}\n`);
      }
      await db.write("a", "again", { term: 2n ** 60n });
      const done = exportDatabase(db, storage, `${directory}/deep/out`);
      assertEquals(done, { keys: 6, entries: 7 });
      return databaseText(db);
    });
    const map = Deno.readTextFileSync(`${directory}/deep/out/${originalNames.map}`);
    assertEquals(
      map,
      '{"\\u003ck\\u003e":"\\u003ck\\u003e\\n","__proto__":"__proto__\\n","a":"again","b":"b\\n",' +
        '"\uffee":"\uffee\\n","😀":"😀\\n"}',
    );
    const copy = { map: `${directory}/copy/db`, log: `${directory}/copy/log` };
    importDatabase(storage, copy, `${directory}/deep/out`);
    await using(
      init(copy.map, copy.log, { storage }),
      (db) => assertEquals(databaseText(db), text),
    );
    assertThrows(
      () => importDatabase(storage, copy, `${directory}/deep/out`),
      FailedError,
      "holds",
    );
    assertThrows(() => importDatabase(storage, paths, `${directory}/none`), NotFoundError);
    await using(open(), (db) => {
      assertThrows(
        () => exportDatabase(db, storage, `${directory}/deep/out`),
        FailedError,
        "exists already",
      );
    });
  });
});

Deno.test("Import goes into a database that was made and closed empty, and takes one file alone", async () => {
  await withDatabase(async ({ open, storage, directory, paths, names }) => {
    await using(open(), () => {});
    Deno.mkdirSync(`${directory}/in`);
    Deno.writeTextFileSync(`${directory}/in/db.json`, '{"x":"1"}');
    assertEquals(importDatabase(storage, paths, `${directory}/in`), { keys: 1, entries: 0 });
    await using(open(), async (db) => assertEquals(await db.read("x"), "1"));
    assertEquals(names(), ["db.json", "in", "log.json"]);
    Deno.writeTextFileSync(`${directory}/in/log.json`, "{}");
    const other = { map: `${directory}/other`, log: `${directory}/other-log` };
    assertThrows(
      () => importDatabase(storage, other, `${directory}/in`),
      CorruptError,
      "not a JSON array",
    );
    assertEquals(names(), ["db.json", "in", "log.json"]);
  });
});

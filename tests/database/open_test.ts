import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CorruptError, UsageError } from "../../src/base/errors.ts";
import { DatabaseInUseError, InvalidKeyError } from "../../src/database/mod.ts";
import { assertIsModel, Model } from "./model.ts";
import { using, withDatabase } from "./support.ts";

Deno.test("D01 init on nothing makes both files, 0600, and they are usable at once", async () => {
  await withDatabase(async ({ open, paths, names }) => {
    await using(open(), async (db) => {
      assertEquals(db.size, 0);
      assertEquals(db.log.length, 0);
      assertEquals(await db.write("x", "1"), "1");
      assertEquals(await db.read("x"), "1");
    });
    for (const path of [paths.map, paths.log]) {
      assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    }
    assertEquals(names(), ["db.json", "log.json"]);
  });
});

Deno.test("D02 init on empty files is init on nothing, and keeps no copy of nothing", async () => {
  await withDatabase(async ({ open, put, names }) => {
    put("map", "");
    put("log", new Uint8Array(0));
    await using(open(), async (db) => void await db.write("x", "1"));
    assertEquals(names(), ["db.json", "log.json"]);
  });
});

Deno.test("D02 The original's fresh log of ten zeros is empty", async () => {
  await withDatabase(async ({ open, put }) => {
    put("log", new Uint8Array(10));
    await using(open(), (db) => assertEquals(db.log.length, 0));
  });
});

Deno.test("D03 init on {} and [] is empty and says nothing but that it kept them", async () => {
  await withDatabase(async ({ open, put, names }) => {
    put("map", "{}");
    put("log", "[]");
    const said: string[] = [];
    const events = {
      report: (level: string, event: string) => void said.push(`${level} ${event}`),
    };
    await using(open({ events }), (db) => assertEquals([db.size, db.log.length], [0, 0]));
    assertEquals(said, ["info original kept", "info original kept"]);
    assertEquals(names(), ["db.json", "db.json.orig", "log.json", "log.json.orig"]);
  });
});

Deno.test('D05 Reading a missing key says "Invalid Key"', async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      await assertRejects(() => db.read("nothing"), InvalidKeyError, "Invalid Key");
    });
  });
});

Deno.test("D07 A shorter value after a longer one leaves everything there after a restart", async () => {
  await withDatabase(async ({ open }) => {
    const model = new Model();
    const write = async (key: string, value: string) => {
      model.take({ call: "write", key, value });
      await using(open(), async (db) => void await db.write(key, value));
    };
    await write("other", "stays");
    await write("x", "a very long value ".repeat(100));
    await write("x", "h");
    await using(open(), (db) => assertIsModel(db, model));
  });
});

Deno.test("D08 A value longer than the file makes file and map grow, and reads back exactly", async () => {
  await withDatabase(async ({ open, paths }) => {
    const value = "0123456789abcdef".repeat(65_536);
    await using(open(), async (db) => {
      await db.write("small", "1");
      const before = Deno.statSync(paths.log).size;
      await db.write("large", value);
      assert(Deno.statSync(paths.log).size >= before + value.length);
      await db.snapshot();
    });
    assert(Deno.statSync(paths.map).size > value.length);
    await using(open(), async (db) => assertEquals(await db.read("large"), value));
  });
});

Deno.test("D09 Ten thousand growing sets resize the files a few times only", async () => {
  await withDatabase(async ({ open }) => {
    await using(open({ sync: "os" }), async (db) => {
      for (let index = 0; index < 10_000; index++) {
        await db.write(`key-${index}`, "v".repeat(index % 500));
      }
      await db.snapshot();
      const { logResizes, mapResizes } = db.status();
      assert(logResizes > 0 && logResizes <= 10, `the log grew ${logResizes} times`);
      assert(mapResizes > 0 && mapResizes <= 10, `the map grew ${mapResizes} times`);
    });
  });
});

Deno.test("D10 Zeros and blanks behind the JSON of the original are no part of it", async () => {
  await withDatabase(async ({ open, put }) => {
    put("map", '{"x":"1"} \n\0\0\0');
    put("log", '[{"Command":"SET","Key":"y","Value":"2","Term":3}]' + "\0".repeat(5000));
    await using(open(), async (db) => {
      assertEquals([await db.read("x"), await db.read("y")], ["1", "2"]);
    });
  });
});

Deno.test("D11 Files of the original load: its escapes, the map first, then every entry over it", async () => {
  await withDatabase(async ({ open, put, directory }) => {
    const map = '{"html":"\\u003cb\\u003e \\u0026","x":"old","ü":"\\u2028€"}';
    const log = '[{"Command":"SET","Key":"x","Value":"one","Term":9007199254740993},' +
      '{"Command":"NOP","Key":"html","Value":"no","Term":-1}]';
    put("map", map);
    put("log", log);
    for (let start = 0; start < 2; start++) {
      await using(open(), async (db) => {
        assertEquals(await db.read("html"), "<b> &");
        assertEquals(await db.read("x"), "one");
        assertEquals(await db.read("ü"), "\u2028€");
        assertEquals([...db.log.entries], [
          { command: "SET", key: "x", value: "one", term: 9007199254740993n },
          { command: "NOP", key: "html", value: "no", term: -1n },
        ]);
      });
    }
    assertEquals(Deno.readTextFileSync(`${directory}/db.json.orig`), map);
    assertEquals(Deno.readTextFileSync(`${directory}/log.json.orig`), log);
  });
});

Deno.test("D11 An older .orig is never replaced by a newer one", async () => {
  await withDatabase(async ({ open, put, directory }) => {
    Deno.writeTextFileSync(`${directory}/db.json.orig`, "of somebody else");
    put("map", '{"x":"1"}');
    await using(open(), async (db) => assertEquals(await db.read("x"), "1"));
    assertEquals(Deno.readTextFileSync(`${directory}/db.json.orig`), "of somebody else");
    assertEquals(Deno.readTextFileSync(`${directory}/db.json.orig-2`), '{"x":"1"}');
  });
});

Deno.test("D11 A log null, which the original writes for no entries, is empty", async () => {
  await withDatabase(async ({ open, put }) => {
    put("map", '{"x":"1"}');
    put("log", "null");
    await using(open(), (db) => assertEquals([db.size, db.log.length], [1, 0]));
  });
});

/** Content that is refused, and what the message names. */
const refused: readonly [name: string, which: "map" | "log", content: string, said: RegExp][] = [
  ["D12 The original's broken tail", "map", '{"x":"h"}lo"}', /at byte 9/],
  ["D12 A broken tail of a log", "log", "[]ommand", /at byte 2/],
  ["D13 Garbage", "map", "hello", /not JSON/],
  ["D13 Garbage in the log", "log", "\x01\x02", /not JSON/],
  ["D13 Bytes that are no text", "map", "\xff", /not JSON/],
  ["D14 null", "map", "null", /no JSON object/],
  ["D14 An array", "map", '["x"]', /no JSON object/],
  ["D14 A number as a value", "map", '{"x":1}', /no string/],
  ["D14 null as a value", "map", '{"x":null}', /no string/],
  ["D14 A log that is an object", "log", "{}", /no JSON array/],
  ["D14 A term that is no whole number", "log", entryText('"Term":1.5'), /no term/],
  ["D14 A term past 64 bits", "log", entryText('"Term":9223372036854775808'), /out of range/],
  ["D14 A value that is a number", "log", '[{"Command":"SET","Key":"x","Value":1}]', /no term/],
  [
    "D14 An entry without a key",
    "log",
    '[{"Command":"SET","Value":"","Term":1}]',
    /Key of entry 0/,
  ],
  ["D29 Half a surrogate pair", "map", '{"x":"\\ud800"}', /surrogate/],
];

function entryText(term: string): string {
  return `[{"Command":"SET","Key":"x","Value":"1",${term}}]`;
}

for (const [name, which, content, said] of refused) {
  Deno.test(`${name} is refused, nothing is touched, and the message says what to do`, async () => {
    await withDatabase(({ open, put, read, names, paths }) => {
      put(which, content);
      const before = { names: names(), bytes: read(which) };
      const error = assertThrows(() => open(), CorruptError);
      assertStringIncludes(error.message, paths[which]);
      assertStringIncludes(error.message, "countd db repair");
      assert(said.test(error.message), error.message);
      assertEquals({ names: names(), bytes: read(which) }, before);
    }, { checks: false });
  });
}

Deno.test("D32 A second init on the same files is refused, however they are named", async () => {
  await withDatabase(async ({ open, directory, paths, storage }) => {
    const { init } = await import("../../src/database/mod.ts");
    await using(open(), async (db) => {
      await db.write("x", "1");
      assertThrows(() => open(), DatabaseInUseError, "another process has it open");
      Deno.linkSync(paths.map, `${directory}/other`);
      const named = () => init(`${directory}/other`, `${directory}/other-log`, { storage });
      assertThrows(named, DatabaseInUseError);
      // Another map with the log of this one.
      const shared = () => init(`${directory}/new`, paths.log, { storage });
      assertThrows(shared, DatabaseInUseError);
      assertEquals(await db.read("x"), "1");
    });
    Deno.removeSync(`${directory}/other`);
    await using(open(), async (db) => assertEquals(await db.read("x"), "1"));
  });
});

Deno.test("Map and log the wrong way round, or the same file twice, is wrong usage", async () => {
  await withDatabase(async ({ open, paths, storage }) => {
    const { init } = await import("../../src/database/mod.ts");
    await using(open(), () => {});
    assertThrows(() => init(paths.log, paths.map, { storage }), UsageError, "wrong way round");
    assertThrows(() => init(paths.map, paths.map, { storage }), UsageError, "name two files");
  });
});

Deno.test("Halves of two databases are no database, and stay as they are", async () => {
  await withDatabase(async ({ open, directory, paths, storage, read }) => {
    const { init } = await import("../../src/database/mod.ts");
    await using(open(), async (db) => void await db.write("x", "1"));
    const other = { map: `${directory}/b`, log: `${directory}/b-log` };
    await using(init(other.map, other.log, { storage }), () => {});
    const before = [read("map"), read("log")];
    assertThrows(
      () => init(paths.map, other.log, { storage }),
      CorruptError,
      "two different databases",
    );
    Deno.removeSync(other.log);
    assertThrows(() => init(other.map, other.log, { storage }), CorruptError, "missing or empty");
    assertEquals(Deno.readDirSync(directory).some((entry) => entry.name === "b-log"), false);
    assertEquals([read("map"), read("log")], before);
  });
});

Deno.test("Without create nothing is made where nothing is", async () => {
  await withDatabase(({ open, names }) => {
    assertThrows(() => open({ create: false }), Error, "No database at");
    assertEquals(names(), []);
  }, { checks: false });
});

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CorruptError, UsageError } from "../../src/base/errors.ts";
import {
  check,
  DatabaseInUseError,
  InvalidKeyError,
  readDatabase,
  repairDatabase,
} from "../../src/database/mod.ts";
import { endOfData } from "../../src/file/mod.ts";
import { assertIsModel, Model } from "./model.ts";
import { using, withDatabase } from "./support.ts";

Deno.test("init without files makes both, with mode 0600, and they are usable at once", async () => {
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

Deno.test("init on empty files is the same as without files, and keeps no copy of them", async () => {
  await withDatabase(async ({ open, put, names }) => {
    put("map", "");
    put("log", new Uint8Array(0));
    await using(open(), async (db) => void await db.write("x", "1"));
    assertEquals(names(), ["db.json", "log.json"]);
  });
});

Deno.test("The original's fresh log of ten zeros is empty", async () => {
  await withDatabase(async ({ open, put }) => {
    put("log", new Uint8Array(10));
    await using(open(), (db) => assertEquals(db.log.length, 0));
  });
});

Deno.test("init on {} and [] gives an empty database and reports only that it kept them", async () => {
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

Deno.test('Reading a missing key says "Invalid Key"', async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      await assertRejects(() => db.read("nothing"), InvalidKeyError, "Invalid Key");
    });
  });
});

Deno.test("A shorter value after a longer one damages nothing after a restart", async () => {
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

Deno.test("A value longer than the file makes file and map grow, and reads back exactly", async () => {
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

Deno.test("Ten thousand growing sets resize the files only a few times", async () => {
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

Deno.test("Zeros and blanks behind the JSON of the original are not part of it", async () => {
  await withDatabase(async ({ open, put }) => {
    put("map", '{"x":"1"} \n\0\0\0');
    put("log", '[{"Command":"SET","Key":"y","Value":"2","Term":3}]' + "\0".repeat(5000));
    await using(open(), async (db) => {
      assertEquals([await db.read("x"), await db.read("y")], ["1", "2"]);
    });
  });
});

Deno.test("Files of the original load with their escapes: the map first, then every entry over it", async () => {
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

Deno.test("An older .orig is never replaced by a newer one", async () => {
  await withDatabase(async ({ open, put, directory }) => {
    Deno.writeTextFileSync(`${directory}/db.json.orig`, "of another program");
    put("map", '{"x":"1"}');
    await using(open(), async (db) => assertEquals(await db.read("x"), "1"));
    assertEquals(Deno.readTextFileSync(`${directory}/db.json.orig`), "of another program");
    assertEquals(Deno.readTextFileSync(`${directory}/db.json.orig-2`), '{"x":"1"}');
  });
});

Deno.test("A log null, which the original writes for no entries, is empty", async () => {
  await withDatabase(async ({ open, put }) => {
    put("map", '{"x":"1"}');
    put("log", "null");
    await using(open(), (db) => assertEquals([db.size, db.log.length], [1, 0]));
  });
});

/** Content that is refused, and what the message says. */
const refused: readonly [name: string, which: "map" | "log", content: string, said: RegExp][] = [
  ["The original's broken tail", "map", '{"x":"h"}lo"}', /at byte 9/],
  ["A broken tail of a log", "log", "[]ommand", /at byte 2/],
  ["Garbage", "map", "hello", /not JSON/],
  ["Garbage in the log", "log", "\x01\x02", /not JSON/],
  ["A map that is not UTF-8", "map", "\xff", /not JSON/],
  ["A map null", "map", "null", /not a JSON object/],
  ["A map that is an array", "map", '["x"]', /not a JSON object/],
  ["A number as a value", "map", '{"x":1}', /not a string/],
  ["null as a value", "map", '{"x":null}', /not a string/],
  ["A log that is an object", "log", "{}", /not a JSON array/],
  ["A term that is not a whole number", "log", entryText('"Term":1.5'), /not a term/],
  ["A term of more than 64 bits", "log", entryText('"Term":9223372036854775808'), /out of range/],
  ["A value that is a number", "log", '[{"Command":"SET","Key":"x","Value":1}]', /not a term/],
  [
    "An entry without a key",
    "log",
    '[{"Command":"SET","Value":"","Term":1}]',
    /Key of entry 0/,
  ],
  ["Half a surrogate pair", "map", '{"x":"\\ud800"}', /surrogate/],
];

function entryText(term: string): string {
  return `[{"Command":"SET","Key":"x","Value":"1",${term}}]`;
}

for (const [name, which, content, said] of refused) {
  Deno.test(`${name} is refused, nothing is changed, and the message says what to do`, async () => {
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

Deno.test("A second init on the same files is refused, however they are named", async () => {
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

Deno.test("Swapped map and log, or the same file twice, is wrong usage", async () => {
  await withDatabase(async ({ open, paths, storage }) => {
    const { init } = await import("../../src/database/mod.ts");
    await using(open(), () => {});
    assertThrows(() => init(paths.log, paths.map, { storage }), UsageError, "are swapped");
    assertThrows(() => init(paths.map, paths.map, { storage }), UsageError, "name two files");
  });
});

Deno.test("Files of two databases are refused as a pair, and stay as they are", async () => {
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

Deno.test("With create false, missing files are an error, and nothing is made", async () => {
  await withDatabase(({ open, names }) => {
    assertThrows(() => open({ create: false }), Error, "No database at");
    assertEquals(names(), []);
  }, { checks: false });
});

// Story: a copy with holes in place of zeros ended before the last entry, which was then taken for damage.
Deno.test("A database whose last entry ends in a hole is whole to check, open, export and repair", async () => {
  await withDatabase(async ({ open, storage, paths, read, directory }) => {
    const value = "\0".repeat(4 * 4096);
    await using(open(), async (db) => void await db.write("zeros", value));
    const log = read("log");
    const end = log.findLastIndex((byte) => byte !== 0) + 1;
    {
      using file = storage.open(paths.log, { access: "write" });
      const hole = Math.ceil(end / 4096) * 4096;
      file.deallocate(hole, Math.ceil((log.length - hole) / 4096) * 4096);
      assert(endOfData(file) < log.length, "the file system keeps no holes");
    }
    assertEquals(read("log"), log);
    assertEquals(check(storage, paths), []);
    {
      using db = readDatabase(storage, paths)!;
      assertEquals([...db.entries()], [["zeros", value]]);
    }
    const report = repairDatabase(storage, paths, { out: `${directory}/repaired` });
    assertEquals([report.keys, report.entries, report.entriesLost], [1, 1, 0]);
    await using(open(), async (db) => assertEquals(await db.read("zeros"), value));
    assertEquals(read("log"), log);
  });
});

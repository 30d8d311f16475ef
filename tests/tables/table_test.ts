import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { AssertionError } from "../../src/base/assert.ts";
import { UsageError } from "../../src/base/errors.ts";
import { systemStorage } from "../../src/file/mod.ts";
import {
  checkTables,
  KeyExistsError,
  KeyNotFoundError,
  NotADirectoryError,
  NotAValueError,
  TableNotFoundError,
  TableRoot,
} from "../../src/tables/mod.ts";
import { writeTemporary } from "../../src/tables/temporary_file.ts";
import { giveToOrdinaryUser } from "../support/ordinary_user.ts";
import { runCountd } from "../support/process.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { bytes, listTree, listValues, openRoot, withRoot } from "./support.ts";

const A = bytes("a");
const B = bytes("b");

Deno.test("Get of a missing key is not found, and makes nothing", async () => {
  await withRoot(async (root, path) => {
    await assertRejects(() => root.get("k"), KeyNotFoundError, '"k" is not in the root table');
    await assertRejects(() => root.table("t").get("k"), KeyNotFoundError, 'not in table "t"');
    assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
  });
});

Deno.test("Create, then get gives the value", async () => {
  await withRoot(async (root) => {
    await root.create("k", A);
    assertEquals(await root.get("k"), A);
  });
});

Deno.test("Create of an existing key refuses and leaves the value", async () => {
  await withRoot(async (root, path) => {
    await root.create("k", A);
    await assertRejects(() => root.create("k", B), KeyExistsError, '"k" exists already');
    assertEquals(await root.get("k"), A);
    assertEquals(listValues(path), ["k.kv"]);
  });
});

Deno.test("Update of a missing key is not found, and no file appears", async () => {
  await withRoot(async (root, path) => {
    await root.set("other", A);
    await assertRejects(() => root.update("k", A), KeyNotFoundError);
    await assertRejects(() => root.table("t").update("k", A), KeyNotFoundError);
    assertEquals(listValues(path), ["other.kv"]);
  });
});

Deno.test("Update of an existing key gives it the new value", async () => {
  await withRoot(async (root) => {
    await root.set("k", A);
    await root.update("k", B);
    assertEquals(await root.get("k"), B);
  });
});

Deno.test("Set makes and replaces one file of mode 0600 and leaves no temporary file", async () => {
  await withRoot(async (root, path) => {
    for (const value of [A, B]) {
      await root.set("k", value);
      assertEquals(await root.get("k"), value);
      assertEquals(Deno.readFileSync(`${path}/k.kv`), value);
      assertEquals((Deno.statSync(`${path}/k.kv`).mode ?? 0) & 0o7777, 0o600);
      assertEquals(Deno.statSync(`${path}/k.kv`).nlink, 1);
      assertEquals(listTree(path), [".countd-temporary/", "k.kv"]);
    }
  }, { sync: "always" });
});

Deno.test("Delete of a missing key succeeds and makes nothing", async () => {
  await withRoot(async (root, path) => {
    await root.delete("k");
    await root.table("t").delete("k");
    assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
  }, { sync: "always" });
});

Deno.test("After delete the key is not found and the file is gone", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", A);
    await root.delete("k");
    await assertRejects(() => root.get("k"), KeyNotFoundError);
    assertEquals(listValues(path), []);
  }, { sync: "always" });
});

Deno.test("A directory with the name of a value makes every call fail, and is left alone", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", A);
    Deno.mkdirSync(`${path}/d.kv/inside`, { recursive: true });
    await assertRejects(() => root.get("d"), NotAValueError, "d.kv as a value");
    await assertRejects(() => root.set("d", A), NotAValueError);
    await assertRejects(() => root.create("d", A), KeyExistsError);
    await assertRejects(() => root.update("d", A), NotAValueError);
    await assertRejects(() => root.delete("d"), NotAValueError);
    assertEquals([...root.keys()], ["k"]);
    assertEquals(listValues(path), ["d.kv/", "d.kv/inside/", "k.kv"]);
    Deno.removeSync(`${path}/d.kv`, { recursive: true });
  });
});

Deno.test("A FIFO with the name of a value is refused without being opened", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", A);
    const made = new Deno.Command("mkfifo", { args: [`${path}/f.kv`] }).outputSync();
    assert(made.success);
    await assertRejects(() => root.get("f"), NotAValueError);
    await assertRejects(() => root.set("f", A), NotAValueError);
    assertEquals([...root.keys()], ["k"]);
    Deno.removeSync(`${path}/f.kv`);
  });
});

Deno.test("Empty, large and arbitrary values come back byte for byte", async () => {
  await withRoot(async (root) => {
    const random = new Random(seedForTest("values"));
    const large = new Uint8Array(64 * 2 ** 20);
    for (let offset = 0; offset < large.length; offset += 65536) {
      large.set(random.bytes(256), offset);
    }
    const every = Uint8Array.from({ length: 256 }, (_, index) => index);
    for (const value of [new Uint8Array(0), every, random.bytes(10_000), large]) {
      await root.set("k", value);
      const read = await root.get("k");
      assertEquals(read.length, value.length);
      assert(read.every((byte, index) => byte === value[index]));
    }
  });
});

Deno.test("A table is a directory of mode 0700, made by the first set", async () => {
  await withRoot(async (root, path) => {
    const table = root.table("realm");
    assertEquals(table.name, "realm");
    assertEquals(table.directory, `${path}/realm.tbl`);
    assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
    await table.set("k", A);
    assertEquals((Deno.statSync(`${path}/realm.tbl`).mode ?? 0) & 0o7777, 0o700);
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o7777, 0o700);
    assertEquals(await root.table("realm").get("k"), A);
    await assertRejects(() => root.get("k"), KeyNotFoundError);
  });
});

Deno.test("A nested table is one table, and its outer parts are not tables", async () => {
  await withRoot(async (root, path) => {
    await root.table("a/b/c").set("k", A);
    assertEquals(root.tables(), ["", "a/b/c"]);
    assert(Deno.statSync(`${path}/a/b/c.tbl`).isDirectory);
    await root.table("a").set("k", B);
    assertEquals(root.tables(), ["", "a", "a/b/c"]);
    assertEquals(await root.table("a/b/c").get("k"), A);
  });
});

Deno.test("Tables have the same names however the root is written, and each can be opened", async () => {
  await withTemporaryDirectory(async (directory) => {
    const given = [`${directory}/db`, `${directory}/db/`, `${directory}/db//`, "./db", "db/", "db"];
    await openRoot(given[0] as string).table("a/b").set("k", A);
    await openRoot(given[0] as string).table("c").set("k", A);
    const before = Deno.cwd();
    try {
      Deno.chdir(directory);
      for (const path of given) {
        const root = openRoot(path);
        assertEquals(root.path, path);
        assertEquals(root.tables(), ["", "a/b", "c"]);
        for (const name of ["a/b", "c"]) {
          assertEquals(await root.table(name).get("k"), A, `${path} ${name}`);
          await root.table(name).set("k", A);
        }
        assertEquals([...root.table("").keys()], []);
      }
    } finally {
      Deno.chdir(before);
    }
  });
});

Deno.test("Tables are found among plain directories, stray files and links in circles", async () => {
  await withRoot(async (root, path) => {
    await root.table("t").set("k", A);
    await root.table("t.tbl/inner").set("k", A);
    Deno.mkdirSync(`${path}/plain`);
    Deno.writeTextFileSync(`${path}/plain/x.kv`, "decoy");
    Deno.mkdirSync(`${path}/d.kv/hidden.tbl`, { recursive: true });
    Deno.symlinkSync(path, `${path}/plain/circle`);
    Deno.symlinkSync(".", `${path}/plain/self.tbl`);
    Deno.symlinkSync("nowhere", `${path}/dangling.tbl`);
    assertEquals(root.tables(), ["", "t", "t.tbl/inner"]);
    assertEquals([...root.keys()], []);
    Deno.removeSync(`${path}/d.kv`, { recursive: true });
  });
});

Deno.test("After another program removed a table, get finds nothing and set makes it again", async () => {
  await withRoot(async (root, path) => {
    const table = root.table("t");
    await table.set("k", A);
    Deno.removeSync(`${path}/t.tbl`, { recursive: true });
    await assertRejects(() => table.get("k"), KeyNotFoundError);
    await assertRejects(() => table.update("k", B), KeyNotFoundError);
    await table.delete("k");
    assertThrows(() => [...table.keys()], TableNotFoundError, 'Table "t" does not exist');
    await assertRejects(() => table.forEach(() => {}), TableNotFoundError);
    await table.set("k", B);
    assertEquals(await table.get("k"), B);
    Deno.removeSync(path, { recursive: true });
    assertThrows(() => root.tables(), TableNotFoundError);
    await table.create("k", A);
    assertEquals(await table.get("k"), A);
  }, { sync: "always" });
});

Deno.test("A lock timeout that is not above 0 is refused, and nothing is made", async () => {
  await withTemporaryDirectory((directory) => {
    for (const lockTimeoutMs of [0, -1, -100000, NaN, Infinity]) {
      assertThrows(
        () => new TableRoot(systemStorage(), `${directory}/db`, { lockTimeoutMs }),
        UsageError,
        "Invalid lock timeout",
      );
    }
    assertThrows(() => openRoot(""), UsageError, "empty");
    assertEquals(listTree(directory), []);
  });
});

Deno.test("Set and update need only the directory, get needs a readable file", async () => {
  await withTemporaryDirectory(async (data) => {
    giveToOrdinaryUser(data);
    const value = `${data}/tables/k.kv`;
    const kv = async (...words: [string, ...string[]]) => {
      const args = ["kv", ...words, "--data", data];
      const { code, text } = await runCountd(args, { as: "ordinary" });
      return `${code} ${text}`;
    };
    assertEquals(await kv("set", "k", "a"), "0 ");
    for (const mode of [0o400, 0o200, 0o000]) {
      Deno.chmodSync(value, mode);
      assertEquals(await kv("get", "k"), mode === 0o400 ? "0 a" : "1 ");
      assertEquals(await kv("set", "k", "b"), "0 ");
      assertEquals(await kv("get", "k"), "0 b");
      Deno.chmodSync(value, mode);
      assertEquals(await kv("update", "k", "a"), "0 ");
      assertEquals(await kv("get", "k"), "0 a");
    }
    Deno.chmodSync(value, 0o000);
    assertEquals(await kv("create", "k", "c"), "1 ");
    assertEquals(await kv("delete", "k"), "0 ");
    assertEquals(await kv("get", "k"), "3 ");
    assertEquals(checkTables(systemStorage(), `${data}/tables`), []);
  });
});

Deno.test("A file with the path of the root or of a table is refused by every call", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    Deno.writeTextFileSync(`${directory}/t.tbl`, "");
    const tables = [
      openRoot(`${directory}/file`).table(""),
      openRoot(directory).table("t"),
      openRoot(directory).table("file/t"),
    ];
    for (const table of tables) {
      await assertRejects(() => table.get("k"), NotADirectoryError, "is not a directory");
      await assertRejects(() => table.set("k", A), NotADirectoryError);
      await assertRejects(() => table.create("k", A), NotADirectoryError);
      await assertRejects(() => table.update("k", A), NotADirectoryError);
      await assertRejects(() => table.delete("k"), NotADirectoryError);
      await assertRejects(() => table.forEach(() => {}), NotADirectoryError);
      assertThrows(() => [...table.keys()], NotADirectoryError);
    }
    assertThrows(() => openRoot(`${directory}/file`).tables(), NotADirectoryError);
    assertEquals(openRoot(directory).tables(), [""]);
  });
});

Deno.test("Set replaces a symbolic link, get and the lock follow it, a dangling one is absent", async () => {
  await withRoot(async (root, path) => {
    await root.set("target", A);
    Deno.symlinkSync("target.kv", `${path}/link.kv`);
    assertEquals(await root.get("link"), A);
    await root.set("link", B);
    assertEquals(await root.get("target"), A);
    assertEquals(await root.get("link"), B);
    assert(Deno.lstatSync(`${path}/link.kv`).isFile);
    Deno.symlinkSync("nowhere.kv", `${path}/dangling.kv`);
    await assertRejects(() => root.get("dangling"), KeyNotFoundError);
    await assertRejects(() => root.update("dangling", A), KeyNotFoundError);
    await assertRejects(() => root.create("dangling", A), KeyExistsError);
    assertEquals([...root.keys()].sort(), ["link", "target"]);
    await root.set("dangling", A);
    assertEquals(await root.get("dangling"), A);
    assertThrows(() => Deno.statSync(`${path}/nowhere.kv`), Deno.errors.NotFound);
  });
});

Deno.test("A root that cannot be written answers get, keys, forEach and tables", async () => {
  await withTemporaryDirectory(async (data) => {
    giveToOrdinaryUser(data);
    const root = openRoot(`${data}/tables`);
    await root.set("k", A);
    await root.table("t").set("x", B);
    giveToOrdinaryUser(data);
    const directories = [`${data}/tables/t.tbl`, `${data}/tables`, data];
    for (const path of directories) Deno.chmodSync(path, 0o500);
    const before = listTree(data);
    const kv = async (...words: string[]) => {
      const args = ["kv", ...words, "--data", data];
      const { code, text, stderr } = await runCountd(args, { as: "ordinary" });
      return `${code} ${text}${stderr}`;
    };
    assertEquals(await kv("get", "k"), "0 a");
    assertEquals(await kv("keys", "--table", "t"), "0 x\n");
    assertEquals(await kv("tables"), "0 t\n");
    assertEquals(await kv("each"), "0 k\ta\n");
    assertEquals(await kv("delete", "missing"), "0 ");
    for (const verb of ["set", "update"]) {
      assertMatch(await kv(verb, "k", "b"), /^1 .*permission denied/);
    }
    assertMatch(await kv("delete", "k"), /^1 .*permission denied/);
    assertEquals(await kv("get", "k"), "0 a");
    assertEquals(listTree(data), before);
    for (const path of directories) Deno.chmodSync(path, 0o700);
    assertEquals(checkTables(systemStorage(), `${data}/tables`), []);
  });
});

Deno.test("A value gets its name once: a second name is refused before anything changes", async () => {
  await withTemporaryDirectory((directory) => {
    const storage = systemStorage();
    using temporary = writeTemporary(storage, directory, { value: A, sync: true });
    assert(temporary.publishNew(`${directory}/a.kv`));
    assertThrows(() => temporary.replace(`${directory}/b.kv`), AssertionError, "its name once");
    assertThrows(() => temporary.publishNew(`${directory}/b.kv`), AssertionError, "its name once");
    assertEquals(listValues(directory), ["a.kv"]);
  });
});

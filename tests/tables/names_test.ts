import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import {
  InvalidKeyError,
  InvalidTableError,
  KeyNotFoundError,
  type Table,
} from "../../src/tables/mod.ts";
import {
  FILE_NAME_BYTES_MAX,
  isTemporaryName,
  KEY_BYTES_MAX,
  keyOfFileName,
  newTemporaryName,
  TABLE_BYTES_MAX,
  tableDirectory,
  tableOfDirectory,
  TEMPORARY_DIRECTORY,
  valueFileName,
} from "../../src/tables/names.ts";
import { Random, seedForTest } from "../support/random.ts";
import { bytes, listTree, listValues, withRoot } from "./support.ts";

const VALUE = bytes("value");

/** Every call refuses the key, and nothing appears. */
async function assertInvalid(table: Table, key: string, path: string): Promise<void> {
  const before = listTree(path);
  for (
    const call of [
      () => table.get(key),
      () => table.set(key, VALUE),
      () => table.create(key, VALUE),
      () => table.update(key, VALUE),
      () => table.delete(key),
    ]
  ) {
    const error = await assertRejects(call, InvalidKeyError, "Invalid key");
    assert(error instanceof UsageError);
  }
  assertEquals(listTree(path), before);
}

/** Every call takes the key. */
async function assertOrdinary(table: Table, key: string): Promise<void> {
  await table.create(key, bytes("1"));
  assertEquals(await table.get(key), bytes("1"));
  await table.set(key, bytes("2"));
  await table.update(key, bytes("3"));
  const found: string[] = [];
  await table.forEach((name, value) => {
    found.push(name);
    assertEquals(value, bytes("3"));
  });
  assertEquals(found, [key]);
  assertEquals([...table.keys()], [key]);
  await table.delete(key);
  await assertRejects(() => table.get(key), KeyNotFoundError);
}

Deno.test("A key with a slash is invalid in every call, and nothing is created", async () => {
  await withRoot(async (root, path) => {
    Deno.mkdirSync(path);
    for (const key of ["a/b", "/", "../x", "/etc/passwd", "a/"]) {
      await assertInvalid(root.table(""), key, path);
    }
  });
});

Deno.test("The keys . and .. are ordinary, and nothing appears outside the table", async () => {
  await withRoot(async (root, path) => {
    for (const key of [".", "..", "..."]) await assertOrdinary(root.table("t"), key);
    await root.table("t").set("..", VALUE);
    assertEquals(listValues(path), ["t.tbl/", "t.tbl/...kv"]);
  });
});

Deno.test("The empty key is an ordinary key", async () => {
  await withRoot(async (root, path) => {
    await assertOrdinary(root.table(""), "");
    await root.set("", VALUE);
    assertEquals(listValues(path), [".kv"]);
  });
});

Deno.test("A key with a NUL or half a character is invalid in every call", async () => {
  await withRoot(async (root, path) => {
    Deno.mkdirSync(path);
    for (const key of ["\0", "a\0b", "\ud800", "x\udc00y"]) {
      await assertInvalid(root.table(""), key, path);
    }
  });
});

Deno.test("Keys of up to 242 bytes work, longer ones are invalid in every call", async () => {
  await withRoot(async (root, path) => {
    Deno.mkdirSync(path);
    for (const length of [1, 200, 241, 242]) {
      await assertOrdinary(root.table(""), "k".repeat(length));
    }
    for (const length of [243, 251, 252, 253, 255, 256, 70_000]) {
      await assertInvalid(root.table(""), "k".repeat(length), path);
    }
    assertEquals(listValues(path), []);
  });
});

Deno.test("The limit of a key counts bytes, not characters", async () => {
  await withRoot(async (root, path) => {
    const euro = "€";
    await assertOrdinary(root.table(""), euro.repeat(80) + "ab");
    await assertInvalid(root.table(""), euro.repeat(80) + "abc", path);
    await assertInvalid(root.table(""), euro.repeat(85), path);
  });
});

Deno.test("Keys like *, x.kv and x.tbl are listed once, under their own name", async () => {
  await withRoot(async (root, path) => {
    for (const key of ["a*b", "*", "x.kv", ".kv", "x.tbl", "a b?!", "\\", "line\nfeed", "😀"]) {
      await assertOrdinary(root.table(""), key);
    }
    await root.set("x.kv", VALUE);
    await root.set("x.tbl", VALUE);
    await root.table("x").set("k", VALUE);
    assertEquals(listValues(path), ["x.kv.kv", "x.tbl.kv", "x.tbl/", "x.tbl/k.kv"]);
    assertEquals([...root.keys()].sort(), ["x.kv", "x.tbl"]);
  });
});

Deno.test("A table name cannot lead out of the root, or to the path of a key or another table", async () => {
  await withRoot(async (root, path) => {
    Deno.mkdirSync(path);
    const names = ["../x", "/x", "a/../../x", "..", ".", "a/./b", "a//b", "a/", "a\0b", "\ud800"];
    const taken = ["x.kv/t", `${TEMPORARY_DIRECTORY}/t`, "t".repeat(252), "a/".repeat(600) + "b"];
    for (const name of [...names, ...taken]) {
      assertThrows(() => root.table(name), InvalidTableError, "Invalid table", name);
    }
    assertEquals(listTree(path), []);
    for (const name of ["...", "..x", "a b", "x.kv", "t".repeat(251), ".tbl", "😀/b"]) {
      await root.table(name).set("k", VALUE);
      assert(root.tables().includes(name), name);
    }
  });
});

Deno.test("A name and its file lead to each other, and no two names to one file", () => {
  const random = new Random(seedForTest("names"));
  const characters = [
    ".",
    "k",
    "v",
    "t",
    "b",
    "l",
    "*",
    " ",
    "é",
    "/",
    "\0",
    "-",
    "kv",
    ".kv",
    ".tbl",
  ];
  const files = new Map<string, string>();
  for (let round = 0; round < 20_000; round++) {
    const name = Array.from({ length: random.below(6) }, () => random.pick(characters)).join("");
    try {
      const file = valueFileName(name);
      assertEquals(keyOfFileName(file), name);
      assertEquals(files.get(file) ?? name, name);
      files.set(file, name);
      assert(!file.includes("/") && !file.includes("\0") && file !== "." && file !== "..");
    } catch (error) {
      if (!(error instanceof InvalidKeyError)) throw error;
      assert(/[/\0]/.test(name), name);
    }
    try {
      const directory = tableDirectory(name);
      if (name !== "") assertEquals(tableOfDirectory(directory), name);
      assert(directory.split("/").every((part) => part !== ".." && part !== "."), directory);
    } catch (error) {
      if (!(error instanceof InvalidTableError)) throw error;
      assertEquals(tableOfDirectory(name + ".tbl"), null);
    }
  }
});

Deno.test("A temporary file is neither a key nor a table, to the library and to flockd", () => {
  const seen = new Set<string>();
  for (let round = 0; round < 1000; round++) {
    const name = newTemporaryName();
    assert(isTemporaryName(name));
    assert(!name.endsWith(".kv") && keyOfFileName(name) === null);
    seen.add(name);
  }
  assertEquals(seen.size, 1000);
  assert(!TEMPORARY_DIRECTORY.endsWith(".kv") && !TEMPORARY_DIRECTORY.endsWith(".tbl"));
  for (const name of ["", "k.kv", "0123456789abcde", "0123456789abcdefg", "0123456789ABCDEF"]) {
    assert(!isTemporaryName(name), name);
  }
});

Deno.test("The limits leave enough for what flockd appends to a name while it writes", () => {
  assertEquals(KEY_BYTES_MAX, 242);
  assertEquals(FILE_NAME_BYTES_MAX, 255);
  assertEquals("k".repeat(KEY_BYTES_MAX).length + ".kv".length + 10, FILE_NAME_BYTES_MAX);
  assert(TABLE_BYTES_MAX + 2 * FILE_NAME_BYTES_MAX < 4096);
});

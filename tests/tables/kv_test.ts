/** `countd kv …` as a script uses it. */

import { dirname } from "node:path/posix";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { checkTables } from "../../src/tables/mod.ts";
import { runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

type Kv = (
  verb: string,
  ...words: string[]
) => Promise<{ code: number; text: string; stderr: string }>;

async function withKv(body: (kv: Kv, data: string) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await body((verb, ...words) => runCountd(["kv", verb, "--data", data, ...words]), data);
    assertEquals(checkTables(systemStorage(), `${data}/tables`), []);
  });
}

Deno.test("kv stores bytes and prints them as they are, and is silent when it writes", async () => {
  await withKv(async (kv, data) => {
    const silent = { code: 0, text: "", stderr: "" };
    const run = async (verb: string, ...words: string[]) => {
      const { code, text, stderr } = await kv(verb, ...words);
      return { code, text, stderr };
    };
    assertEquals(await run("set", "k", "value"), silent);
    assertEquals(await run("get", "k"), { code: 0, text: "value", stderr: "" });
    assertEquals(await run("create", "c", "1", "--table", "t/u"), silent);
    assertEquals(await run("update", "c", "2", "--table=t/u"), silent);
    assertEquals(await run("get", "c", "--table", "t/u"), { code: 0, text: "2", stderr: "" });
    assertEquals(await run("keys"), { code: 0, text: "k\n", stderr: "" });
    assertEquals(await run("keys", "--table", "t/u"), { code: 0, text: "c\n", stderr: "" });
    assertEquals(await run("tables"), { code: 0, text: "t/u\n", stderr: "" });
    assertEquals(await run("each"), { code: 0, text: "k\tvalue\n", stderr: "" });
    assertEquals(await run("delete", "k"), silent);
    assertEquals(await run("delete", "k"), silent);
    assertEquals(await run("keys"), silent);
    assertEquals(await run("set", "--", "--table", "-x"), silent);
    assertEquals(await run("get", "--", "--table"), { code: 0, text: "-x", stderr: "" });
    assertEquals(await run("set", "minus", "-5"), silent);
    assertEquals((await run("get", "minus")).text, "-5");
    assertEquals((Deno.statSync(data).mode ?? 0) & 0o7777, 0o700);
    assertEquals((Deno.statSync(`${data}/tables/minus.kv`).mode ?? 0) & 0o7777, 0o600);
  });
});

Deno.test("kv takes a value from stdin with -, byte for byte", async () => {
  await withKv(async (_kv, data) => {
    const value = Uint8Array.from({ length: 200_000 }, (_, index) => index * 7);
    const set = await runCountd(["kv", "set", "k", "-", "--data", data], { stdin: value });
    assertEquals([set.code, set.stderr], [0, ""]);
    const { stdout } = await runCountd(["kv", "get", "k", "--data", data]);
    assertEquals(stdout.length, value.length);
    assert(stdout.every((byte, index) => byte === value[index]));
    const empty = await runCountd(["kv", "set", "k", "-", "--data", data], { stdin: "" });
    assertEquals(empty.code, 0);
    assertEquals(await runCountd(["kv", "get", "k", "--data", data]).then(({ text }) => text), "");
  });
});

Deno.test("kv exits 3 for what is not found, 1 for what exists, 2 for bad names, 75 for a lock", async () => {
  await withKv(async (kv, data) => {
    const fails = async (words: [string, ...string[]], code: number, message: RegExp) => {
      const ended = await kv(...words);
      assertEquals([ended.code, ended.text], [code, ""], words.join(" "));
      assertMatch(ended.stderr, message, words.join(" "));
    };
    const reads = [["get", "k"], ["update", "k", "v"], ["keys"], ["tables"], ["each"]];
    for (const words of reads as [string][]) {
      await fails(words, 3, /^countd: /);
    }
    assertEquals((await kv("delete", "k")).code, 0);
    await fails(["set", "a/b", "v"], 2, /^countd: Invalid key "a\/b": a key has no slash/);
    await fails(["set", "k", "v", "--table", "../x"], 2, /^countd: Invalid table/);
    await fails(["set", "k", "v", "--lock-timeout", "0"], 2, /[Ll]ock.timeout/);
    await fails(["set", "k"], 2, /Argument VALUE is missing/);
    // Nothing of all this has made a data directory.
    assertEquals([...Deno.readDirSync(dirname(data))], []);
    assertEquals((await kv("create", "k", "v")).code, 0);
    await fails(["create", "k", "w"], 1, /exists already/);
    await fails(["get", "x"], 3, /not in the root table/);
    await fails(["update", "x", "v"], 3, /not in the root table/);
    await fails(["get", "k", "--table", "none"], 3, /not in table "none"/);
    await fails(["keys", "--table", "none"], 3, /Table "none" does not exist/);
    await fails(["each", "--table", "none"], 3, /Table "none" does not exist/);
    await fails(["get", "k".repeat(243)], 2, /243 bytes, the limit is 242/);
    using file = Deno.openSync(`${data}/tables/k.kv`);
    file.lockSync(true);
    for (
      const words of [["get", "k"], ["set", "k", "v"], ["delete", "k"], ["each"]] as [string][]
    ) {
      await fails([...words, "--lock-timeout", "30ms"], 75, /Cannot lock .*k\.kv within 30 ms/);
    }
  });
});

Deno.test("keys and tables of an empty data directory are empty and exit 0", async () => {
  await withTemporaryDirectory(async (data) => {
    for (const verb of ["keys", "tables", "each"]) {
      const { code, text, stderr } = await runCountd(["kv", verb, "--data", data]);
      assertEquals([code, text, stderr], [0, "", ""], verb);
    }
    assertEquals([...Deno.readDirSync(data)], []);
  });
});

Deno.test("kv answers in JSON, errors too, and bytes that are no text in base64", async () => {
  await withKv(async (kv, data) => {
    const json = async (verb: string, ...words: string[]) => {
      const { code, text } = await kv(verb, ...words, "--json");
      return [code, JSON.parse(text)];
    };
    assertEquals(await json("set", "a", "1"), [0, { table: "", key: "a" }]);
    assertEquals(await json("create", "b\nc", "x", "--table", "t"), [0, {
      table: "t",
      key: "b\nc",
    }]);
    assertEquals(await json("get", "a"), [0, { table: "", key: "a", value: "1" }]);
    assertEquals(await json("keys", "--table", "t"), [0, { table: "t", keys: ["b\nc"] }]);
    assertEquals(await json("tables"), [0, { tables: ["t"] }]);
    assertEquals(await json("each"), [0, { table: "", entries: [{ key: "a", value: "1" }] }]);
    assertEquals(await json("delete", "a"), [0, { table: "", key: "a" }]);
    assertEquals(await json("each"), [0, { table: "", entries: [] }]);
    const [code, { error }] = await json("get", "a");
    assertEquals([code, error.code, error.name], [3, 3, "not-found"]);
    assertMatch(error.message, /Key "a" is not in the root table/);
    // The head of the list was once written before the first row was read, and the error came behind it.
    for (const verb of ["each", "keys"]) {
      const [code, { error }] = await json(verb, "--table", "none");
      assertEquals([code, error.name], [3, "not-found"], verb);
    }
    await kv("set", "k1", "1");
    await kv("set", "k2", "2");
    using file = Deno.openSync(`${data}/tables/k2.kv`);
    file.lockSync(true);
    const [busy, answer] = await json("each", "--lock-timeout", "30ms");
    assertEquals([busy, Object.keys(answer), answer.error.name], [75, ["error"], "try-again"]);
  });
  await withKv(async (kv, data) => {
    await runCountd(["kv", "set", "k", "-", "--data", data], { stdin: Uint8Array.of(255, 0) });
    assertEquals(JSON.parse((await kv("get", "k", "--json")).text), {
      table: "",
      key: "k",
      valueBase64: "/wA=",
    });
  });
});

Deno.test("Names on a pipe are written byte for byte and sorted", async () => {
  await withKv(async (kv) => {
    for (const key of ["b", "a", "é", "line\nfeed", "", "A"]) await kv("set", key, "v");
    assertEquals((await kv("keys")).text, "\nA\na\nb\nline\nfeed\né\n");
  });
});

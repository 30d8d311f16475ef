/** A backup under the verbs: it is read as a data directory is, and no verb writes into it. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { makeWholeData, readWholeData, stateBelow } from "./whole_data.ts";

/** Verbs that would change a backup, and what each is given beside `--data`. */
const WRITING: readonly (readonly string[])[] = [
  ["worker", "--once"],
  ["worker"],
  ["write", "--port=0"],
  ["serve", "--write-port=0", "--read-port=0"],
  ["repair"],
  ["repair", "--in-place"],
  ["check", "--clear-failed"],
  ["kv", "set", "motd", "bye"],
  ["kv", "create", "new", "bye"],
  ["kv", "update", "motd", "bye"],
  ["kv", "delete", "motd"],
  ["shell", "-c", "incr pages /about 1"],
  ["shell", "-c", "set motd bye"],
  ["shell", "-c", "delete motd"],
  ["db", "--port=0"],
  ["db", "repair", "--in-place"],
];

// Story: each of these changed the control file of the backup, and restore refused it afterwards.
Deno.test("Verbs that write refuse a backup and name restore, readers read it, and it can be restored", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const [data, copy, second] = ["data", "copy", "second"].map((name) => `${temporary}/${name}`);
    await makeWholeData(data!);
    const made = await runCountd(["backup", copy!, "--data", data!]);
    assertEquals(made.code, 0, made.stderr);
    const before = stateBelow(copy!);
    for (const args of WRITING) {
      const { code, stderr, text } = await runCountd([...args, "--data", copy!]);
      assertEquals([code, text], [5, ""], `${args.join(" ")}: ${stderr}`);
      assertStringIncludes(stderr, "is a backup: run countd restore");
    }
    const files = ["--db", `${copy}/db/db.json`, "--log", `${copy}/db/log`];
    const named = await runCountd(["db", ...files, "--port=0"]);
    assertEquals(named.code, 5, named.stderr);
    assertEquals(stateBelow(copy!), before);
    await readWholeData(copy!, temporary);
    assertEquals(stateBelow(copy!), before);
    const restored = await runCountd(["restore", copy!, "--data", second!]);
    assertEquals(restored.code, 0, restored.stderr);
    Deno.mkdirSync(`${temporary}/scratch`);
    await readWholeData(second!, `${temporary}/scratch`);
  });
});

Deno.test("A file of a backup that has changed is found by check", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const [data, copy] = ["data", "copy"].map((name) => `${temporary}/${name}`);
    const set = await runCountd(["kv", "set", "motd", "hello", "--data", data!]);
    assertEquals(set.code, 0, set.stderr);
    assertEquals((await runCountd(["backup", copy!, "--data", data!])).code, 0);
    assertEquals((await runCountd(["check", "--data", copy!])).code, 0);
    Deno.writeTextFileSync(`${copy}/tables/motd.kv`, "jello");
    const changed = await runCountd(["check", "--data", copy!]);
    const path = `${copy}/tables/motd.kv`;
    assertEquals(changed.code, 6, changed.stderr);
    assertEquals(
      changed.text,
      `backup 1\t${path}\t0\t${path} of the backup is damaged: use another backup\n`,
    );
    Deno.removeSync(path);
    assertStringIncludes((await runCountd(["check", "--data", copy!])).text, "is missing");
  });
});

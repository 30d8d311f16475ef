/** Directories that a user may not list: those of tables with a wrong mode, and those of file systems. */

import { assertEquals, assertMatch } from "@std/assert";
import { giveToOrdinaryUser, runningAsRoot } from "../support/ordinary_user.ts";
import { runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { makeWholeData, readWholeData } from "./whole_data.ts";

const IN_TABLE = ["--table", "a/b", "motd"];

/** A directory of tables with one key, all of it the ordinary user's. */
async function withTable(body: (data: string) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    giveToOrdinaryUser(directory);
    await run(["kv", "set", ...IN_TABLE, "hello", "--data", data]);
    await body(data);
  });
}

async function run(args: string[]): Promise<string> {
  const { code, text, stderr } = await runCountd(args, { as: "ordinary" });
  assertEquals(code, 0, `${args.join(" ")}: ${stderr}${text}`);
  return text;
}

// Story: repair gave a directory that could not be listed the mode 0600 of a value. The next repair died of
// the names in it, before it came to the database.
for (const mode of [0o000, 0o300, 0o600]) {
  Deno.test(`Repair opens tables of mode ${mode.toString(8).padStart(4, "0")} to their owner, also one in another`, async () => {
    await withTable(async (data) => {
      for (const closed of ["a/b.tbl", "a"]) Deno.chmodSync(`${data}/tables/${closed}`, mode);
      const checked = await runCountd(["check", "--data", data], { as: "ordinary" });
      assertEquals(checked.code, 6, checked.text + checked.stderr);
      // Story: a copy could not be made of what could not be listed: with --out a repair ended with exit code 1.
      const copy = `${data}-repaired`;
      for (const [place, where] of [[copy, ["--out", copy]], [data, ["--in-place"]]] as const) {
        const text = await run(["repair", "--data", data, ...where]);
        assertMatch(text, new RegExp(`${place}/tables/a\tmode set to 0700`));
        assertMatch(text, new RegExp(`${place}/tables/a/b\.tbl\tmode set to 0700`));
        assertEquals(await run(["kv", "get", ...IN_TABLE, "--data", place]), "hello");
        assertEquals(await run(["check", "--data", place]), "");
        if (place === data) continue;
        const closed = runningAsRoot() ? ["a", "a/b.tbl"] : ["a"];
        for (const each of closed) {
          const found = Deno.statSync(`${data}/tables/${each}`).mode! & 0o777;
          assertEquals(found, mode, "the original is as it was");
        }
      }
    });
  });
}

// Story: a backup left out every directory lost+found, also a table of that name, and exited with 0.
Deno.test("A table below lost+found is backed up, restored and copied by repair", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const tables = ["lost+found", "lost+found/x", "site/lost+found"];
    giveToOrdinaryUser(directory);
    for (const table of tables) {
      await run(["kv", "set", "--table", table, "motd", table, "--data", data]);
    }
    await run(["backup", `${directory}/backup`, "--data", data]);
    await run(["restore", `${directory}/backup`, "--data", `${directory}/restored`]);
    await run(["repair", "--data", data, "--out", `${directory}/repaired`]);
    for (const place of ["backup", "restored", "repaired"]) {
      for (const table of tables) {
        const of = ["--table", table, "--data", `${directory}/${place}`];
        assertEquals(await run(["kv", "get", "motd", ...of]), table, place);
      }
    }
  });
});

// Story: with a file system mounted at keyspaces, every backup of an ordinary user failed.
Deno.test("The closed lost+found of file systems stops no verb, and is not in a backup", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await makeWholeData(data);
    giveToOrdinaryUser(directory);
    const closed = ["", "/keyspaces", "/tables", "/logs", "/db"].map((place) =>
      `${data}${place}/lost+found`
    );
    for (const path of closed) Deno.mkdirSync(path, { mode: 0 });
    assertEquals(await run(["check", "--data", data]), "");
    await run(["kv", "tables", "--data", data]);
    await run(["backup", `${directory}/backup`, "--data", data]);
    await run(["repair", "--data", data, "--out", `${directory}/repaired`]);
    await run(["repair", "--data", data, "--in-place"]);
    for (const path of closed) Deno.removeSync(path);
    for (const place of ["data", "backup", "repaired"]) {
      await readWholeData(`${directory}/${place}`, `${directory}/dump-of-${place}`);
    }
    const found = [...Deno.readDirSync(`${directory}/backup/keyspaces`)].map(({ name }) => name);
    assertEquals(found.includes("lost+found"), false);
  });
});

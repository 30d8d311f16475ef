/** Backup, and the copy of repair, at the command line: a copy is whole or is not made. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs/exists";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Runs a script of sh, because the runtime cannot use names that are not UTF-8. */
function shell(script: string): string {
  const { success, stdout, stderr } = new Deno.Command("sh", { args: ["-ec", script] })
    .outputSync();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function setKeys(data: string): Promise<void> {
  for (const [table, key] of [["site", "motd"], ["", "root"]] as const) {
    const set = await runCountd(["kv", "set", ...table === "" ? [] : ["--table", table], key, "v"]
      .concat(["--data", data]));
    assertEquals(set.code, 0, set.stderr);
  }
}

async function assertSound(data: string): Promise<void> {
  const check = await runCountd(["check", "--data", data]);
  assertEquals([check.code, check.text], [0, ""], check.stderr);
}

// Story: each of these was missing in the copy, although the backup exited with 0.
Deno.test("A backup names what it would leave out of tables and keyspaces, and makes nothing", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const copy = `${temporary}/copies/monday`;
    await setKeys(data);
    const tables = `${data}/tables`;
    const long = "k".repeat(243) + ".kv";
    const longest = "k".repeat(251) + ".kv";
    shell(`
      cd '${tables}'
      printf value > ${long}
      printf value > site.tbl/${longest}
      mkdir foo.kv plain && printf value > foo.kv/bar && printf value > plain/stray.kv
      printf value > "$(printf 'caf\\351.kv')"
      mkdir "$(printf 'r\\351sum\\351.tbl')" && printf value > "$(printf 'r\\351sum\\351.tbl')"/k.kv
      printf value > '${data}/keyspaces/Visits'
    `);
    // Files without data, or unfinished ones, may be left out.
    shell(`cd '${tables}' && : > .gitkeep && : > motd.kv1234567890 && mkdir lost+found`);
    const left = [
      `${tables}/${long}`,
      `${tables}/site.tbl/${longest}`,
      `${tables}/foo.kv`,
      `${tables}/foo.kv/bar`,
      `${tables}/plain/stray.kv`,
      `${tables}/caf\\xe9.kv`,
      `${tables}/r\\xe9sum\\xe9.tbl`,
      `${tables}/r\\xe9sum\\xe9.tbl/k.kv`,
      `${data}/keyspaces/Visits`,
    ];
    const refused = await runCountd(["backup", copy, "--data", data]);
    assertEquals([refused.code, refused.text], [6, ""], refused.stderr);
    const lines = refused.stderr.split("\n").map((line) => line.trim());
    for (const path of left) assert(lines.includes(path), `${path} in ${refused.stderr}`);
    assertEquals(lines.length, left.length + 1, refused.stderr);
    assertEquals([...Deno.readDirSync(`${temporary}/copies`)], []);
    const json = await runCountd(["backup", copy, "--data", data, "--json"]);
    assertEquals(json.code, 6);
    assertStringIncludes(JSON.parse(json.text).error.message, "caf\\xe9.kv");

    shell(`
      cd '${tables}'
      rm -r ${long} site.tbl/${longest} foo.kv plain '${data}/keyspaces/Visits'
      rm -r "$(printf 'caf\\351.kv')" "$(printf 'r\\351sum\\351.tbl')"
    `);
    const made = await runCountd(["backup", copy, "--data", data]);
    assertEquals(made.code, 0, made.stderr);
    const restored = await runCountd(["restore", copy, "--data", `${temporary}/second`]);
    assertEquals(restored.code, 0, restored.stderr);
    const got = await runCountd([
      "kv",
      "get",
      "motd",
      "--table=site",
      `--data=${temporary}/second`,
    ]);
    assertEquals(got.text.trimEnd(), "v", got.stderr);
    await assertSound(`${temporary}/second`);
    await assertSound(data);
  });
});

Deno.test("The copy of a repair has every file, also of a name that is not UTF-8", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await setKeys(data);
    shell(`
      cd '${data}/tables'
      printf needle > "$(printf 'caf\\351.kv')"
      mkdir "$(printf '\\377')" && printf needle > "$(printf '\\377/\\376')"
    `);
    const repaired = await runCountd(["repair", "--data", data]);
    assertEquals(repaired.code, 0, repaired.stderr);
    assertStringIncludes(repaired.text, "caf\\xe9.kv");
    assertEquals(shell(`grep -rl needle '${data}.repaired' | wc -l`).trim(), "2");
    assertEquals(shell(`grep -rl needle '${data}' | wc -l`).trim(), "2");
    await assertSound(`${data}.repaired`);
    // The code that makes copies can remove all of it again.
    const again = await runCountd(["repair", "--data", data, "--out", `${temporary}/none/.`]);
    assertEquals(again.code, 2, again.stderr);
    assert(!existsSync(`${temporary}/none`));
  });
});

Deno.test("A backup names half of a database, and includes a log of which only the lock name is left", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const copy = `${temporary}/copy`;
    await using writer = startCountd(["write", `--data=${data}`, "--port=0", "--log-size=65536"]);
    const { port } = await writer.listening();
    const sent = await runCountd(["incr", "visits", "/", "5", "--connect", `127.0.0.1:${port}`]);
    assertEquals(sent.code, 0, sent.stderr);
    await writer.kill();
    const lock = [...Deno.readDirSync(`${data}/logs`)].map(({ name }) => name)
      .find((name) => name.startsWith("lock-")) as string;
    const plain = `${data}/logs/${lock.slice("lock-".length)}`;
    Deno.removeSync(plain);

    await using db = startCountd(["db", `--data=${data}`, "--port=0"]);
    await db.listening();
    assertEquals(await db.stop(), 0);
    Deno.renameSync(`${data}/db/db.json`, `${temporary}/db.json`);
    const half = await runCountd(["backup", copy, "--data", data]);
    assertEquals(half.code, 6, half.stderr);
    assertStringIncludes(half.stderr, `${data}/db/db.json is missing`);
    assert(!existsSync(copy));
    Deno.renameSync(`${temporary}/db.json`, `${data}/db/db.json`);

    const made = await runCountd(["backup", copy, "--data", data]);
    assertEquals(made.code, 0, made.stderr);
    const second = `${temporary}/second`;
    assertEquals((await runCountd(["restore", copy, "--data", second])).code, 0);
    assertEquals((await runCountd(["get", "visits", "/", "--data", second])).text, "5\n");
    await assertSound(second);
    Deno.linkSync(`${data}/logs/${lock}`, plain);
    await assertSound(data);
  });
});

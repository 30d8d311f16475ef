/** Backup, and the copy of repair, at the command line: a copy is whole or is not made. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs/exists";
import { systemStorage } from "../../src/file/mod.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { makeWholeData } from "./whole_data.ts";

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

/** Names that a list of keys or keyspaces does not show: long ones, others than UTF-8, files in odd places. */
const LONGEST = "k".repeat(251) + ".kv";
const HIDDEN = `
  cd "$1"
  printf needle > tables/${"k".repeat(243)}.kv
  printf needle > tables/site.tbl/${LONGEST}
  mkdir tables/foo.kv tables/plain
  printf needle > tables/foo.kv/bar
  printf needle > tables/plain/stray.kv
  printf needle > tables/.hidden
  printf needle > "$(printf 'tables/caf\\351.kv')"
  mkdir "$(printf 'tables/r\\351sum\\351.tbl')" tables/empty.tbl
  printf needle > "$(printf 'tables/r\\351sum\\351.tbl/\\377.kv')"
  printf needle > keyspaces/Visits
  mkdir keyspaces/Notes
  printf needle > "$(printf 'keyspaces/Notes/\\376')"
`;

/** The raw names of all that holds a needle, and of all directories, below tables and keyspaces. */
function inventory(data: string): string {
  return shell(`
    cd '${data}'
    grep -rlZ needle tables keyspaces | LC_ALL=C sort -z | tr '\\0' '\\n' | od -c
    find tables -type d ! -name .countd-temporary | LC_ALL=C sort | od -c
  `);
}

// Story: each of these was missing in the copy, although the backup exited with 0.
Deno.test("A backup and what is restored from it have every file of tables and keyspaces, by its raw name", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const [data, copy, second] = ["data", "copy", "second"].map((name) => `${temporary}/${name}`);
    await setKeys(data!);
    shell(`set -- '${data}'; ${HIDDEN}`);
    // What is being written by flockd, and what a killed process left, is not copied.
    shell(`: > '${data}/tables/motd.kv1234567890'; : > '${data}/keyspaces/.new-visits'`);
    const before = inventory(data!);
    // Another program may hold the lock of its own file for as long as it runs.
    using hidden = systemStorage().open(`${data}/tables/.hidden`, { access: "read" });
    assert(hidden.tryFlock("exclusive"));
    const made = await runCountd(["backup", copy!, "--data", data!, "--json"]);
    assertEquals(made.code, 0, made.stderr);
    assertEquals(JSON.parse(made.text).tableKeys, "2");
    assertEquals(inventory(copy!), before);
    const restored = await runCountd(["restore", copy!, "--data", second!]);
    assertEquals(restored.code, 0, restored.stderr);
    assertEquals(inventory(second!), before);
    assert(!existsSync(`${second}/tables/motd.kv1234567890`));
    assert(!existsSync(`${second}/keyspaces/.new-visits`));
    const got = await runCountd(["kv", "get", "motd", "--table=site", "--data", second!]);
    assertEquals(got.text.trimEnd(), "v", got.stderr);
    // Links that lead back are not followed in circles.
    shell(`cd '${second}' && ln -s .. tables/site.tbl/circle && ln -s . keyspaces/Notes/circle`);
    const repaired = await runCountd(["repair", "--data", second!]);
    assertEquals(repaired.code, 0, repaired.stderr);
    await assertSound(`${second}.repaired`);
  });
});

Deno.test("A backup names what cannot be copied, and makes nothing", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const copy = `${temporary}/copies/monday`;
    await setKeys(data);
    shell(
      `cd '${data}' && mkfifo tables/pipe tables/site.tbl/pipe.kv && mkdir keyspaces/visits && : > db
      ln -s self tables/self && ln -s self keyspaces/self`,
    );
    const refused = await runCountd(["backup", copy, "--data", data]);
    assertEquals([refused.code, refused.text], [6, ""], refused.stderr);
    const lines = refused.stderr.split("\n").map((line) => line.trim()).slice(1);
    const named = ["tables/pipe", "tables/site.tbl/pipe.kv", "tables/self"]
      .concat(["keyspaces/visits", "keyspaces/self", "db"]);
    assertEquals(lines.sort(), named.map((path) => `${data}/${path}`).sort());
    assertEquals([...Deno.readDirSync(`${temporary}/copies`)], []);
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

// Story: a log that was removed was left out, and with it what it held, although check named it.
Deno.test("A backup is refused while a log is missing, and made again after a repair", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const copy = `${temporary}/copy`;
    await makeWholeData(data);
    const names = [...Deno.readDirSync(`${data}/logs`)].map(({ name }) => name).sort();
    // The first one leaves a gap. The last one was never used, and nothing tells that it was there.
    const kept = `${temporary}/kept`;
    Deno.renameSync(`${data}/logs/${names[0]}`, kept);
    const refused = await runCountd(["backup", copy, "--data", data]);
    assertEquals([refused.code, refused.text], [6, ""], refused.stderr);
    assertStringIncludes(refused.stderr, `${data}/logs/${names[0]} is missing`);
    assertEquals((await runCountd(["check", "--data", data])).code, 6);
    // Without the others there is no gap, and a keyspace has applied the first one.
    for (const name of names.slice(1)) Deno.removeSync(`${data}/logs/${name}`);
    const alone = await runCountd(["backup", copy, "--data", data]);
    assertEquals(alone.code, 6, alone.stderr);
    assertStringIncludes(alone.stderr, `${names[0]} is missing`);
    assert(!existsSync(copy));
    Deno.renameSync(kept, `${data}/logs/${names[0]}`);
    const made = await runCountd(["backup", copy, "--data", data]);
    assertEquals(made.code, 0, made.stderr);
    await assertSound(copy);
  });
});

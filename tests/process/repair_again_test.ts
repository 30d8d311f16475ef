/** Repair at the command line: what it must not touch, and repeating a repair that was killed. */

import { dirname } from "node:path/posix";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs/exists";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Counters of each keyspace, with the values 1, 2, 3 … */
const COUNTERS = 200;
/**
 * An offset in the middle of the first page behind the meta blocks of a small file, which is one of the key
 * order. The rank order still has each counter.
 */
const DAMAGED_OFFSET = 2048 + 500;

/** A data directory with these keyspaces, all folded. */
async function makeData(data: string, keyspaces: readonly string[]): Promise<void> {
  await using writer = startCountd(["write", "--data", data, "--port=0", "--log-size=65536"]);
  const { port } = await writer.listening();
  const lines: string[] = [];
  for (let count = 1; count <= COUNTERS; count++) {
    for (const keyspace of keyspaces) lines.push(`${keyspace}\tkey-${count}\t${count}\n`);
  }
  const load = ["load", "--connect", `127.0.0.1:${port}`];
  const loaded = await runCountd(load, { stdin: lines.join("") });
  assertEquals(loaded.code, 0, loaded.stderr);
  assertEquals(await writer.stop(), 0);
  const folded = await runCountd(["worker", "--once", "--data", data]);
  assertEquals(folded.code, 0, folded.stderr);
}

function damage(path: string, offset: number): void {
  const { mode } = Deno.statSync(path);
  Deno.chmodSync(path, 0o600);
  {
    using file = Deno.openSync(path, { read: true, write: true });
    file.seekSync(offset, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(20).fill(0x5a));
  }
  Deno.chmodSync(path, (mode ?? 0) & 0o777);
}

async function assertCounts(data: string, keyspaces: readonly string[]): Promise<void> {
  const listed = await runCountd(["keyspaces", "--data", data]);
  assertEquals(listed.text, keyspaces.map((name) => `${name}\t${COUNTERS}\n`).join(""));
  for (const keyspace of keyspaces) {
    const top = await runCountd(["top", keyspace, "--length", String(COUNTERS), "--data", data]);
    const expected = Array.from({ length: COUNTERS }, (_, rank) => COUNTERS - rank)
      .map((count) => `${count}\tkey-${count}\n`);
    assertEquals(top.text, expected.join(""), keyspace);
  }
  const check = await runCountd(["check", "--data", data]);
  assertEquals([check.code, check.text], [0, ""], check.stderr);
}

function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

// Story: the repaired file was made under the name X.repaired, and the keyspace of that name was unlinked.
Deno.test("A repair of one keyspace does not touch another with the same name and .repaired", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const keyspaces = ["visits", "visits.repaired"];
    await makeData(data, keyspaces);
    damage(`${data}/keyspaces/visits`, DAMAGED_OFFSET);
    assertEquals((await runCountd(["check", "--data", data])).code, 6);
    const repaired = await runCountd(["repair", "--in-place", "--data", data]);
    assertEquals(repaired.code, 0, repaired.stderr);
    await assertCounts(data, keyspaces);
  });
});

// Story: a file that a killed repair had left was taken for a keyspace, and the next repair exited with 3.
Deno.test("A repair that was killed at any point succeeds when it is repeated", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const keyspaces = ["downloads", "visits"];
    await makeData(data, keyspaces);
    for (const keyspace of keyspaces) damage(`${data}/keyspaces/${keyspace}`, DAMAGED_OFFSET);
    // A log that is folded and free, without its header.
    damage(`${data}/logs/0000000000`, 0);
    damage(`${data}/logs/0000000000`, 512);
    const places = [
      "repair.publish.before",
      "fold.5.rename",
      "repair.publish.after",
      "repair.publish.before#3",
      "repair.publish.after#3",
      "repair.keep.after#2",
    ];
    for (const place of places) {
      const copy = `${temporary}/copy-${place}`;
      const copied = new Deno.Command("cp", { args: ["-a", data, copy] }).outputSync();
      assert(copied.success);
      const inPlace = ["repair", "--in-place", "--data", copy];
      const killed = await runCountd(inPlace, { env: { COUNTD_FAULT: `kill@${place}` } });
      assertEquals(killed.code, 137, `${place}: ${killed.stderr}`);
      const repeated = await runCountd(inPlace);
      assertEquals(repeated.code, 0, `${place}: ${repeated.stderr}`);
      assertEquals(names(`${copy}/keyspaces`), keyspaces, place);
      assertEquals(names(`${copy}/logs`).filter((name) => !/^[0-9]{10}$/.test(name)), [], place);
      assert(!existsSync(`${copy}/repair-scratch`), place);
      const folded = await runCountd(["worker", "--once", "--data", copy]);
      assertEquals(folded.code, 0, folded.stderr);
      await assertCounts(copy, keyspaces);
    }
  });
});

Deno.test("The files of a killed repair disturb neither a worker, nor a backup, nor check", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data, ["visits"]);
    const sound = Deno.readFileSync(`${data}/keyspaces/visits`);
    damage(`${data}/keyspaces/visits`, DAMAGED_OFFSET);
    const killed = await runCountd(["repair", "--in-place", "--data", data], {
      env: { COUNTD_FAULT: "kill@repair.publish.before" },
    });
    assertEquals(killed.code, 137, killed.stderr);
    assertEquals(names(`${data}/keyspaces`).length, 2);
    Deno.writeFileSync(`${data}/keyspaces/visits`, sound);
    await assertCounts(data, ["visits"]);
    const backup = await runCountd(["backup", `${temporary}/copy`, "--data", data]);
    assertEquals(backup.code, 0, backup.stderr);
    assertEquals(names(`${temporary}/copy/keyspaces`), ["visits"]);
    const folded = await runCountd(["worker", "--once", "--data", data]);
    assertEquals(folded.code, 0, folded.stderr);
    await assertCounts(data, ["visits"]);
  });
});

/** Files of other programs, some under names that countd uses too. */
function makeForeign(directory: string): void {
  const files = [
    ["control", 0o640, "Source: something\n"],
    ["logs/app.log", 0o200, "started\n"],
    ["db/schema.rb", 0o444, "create_table\n"],
    ["tables/list.html", 0o644, "<table>\n"],
    ["secret/key.pem", 0o400, "secret\n"],
    ["script", 0o755, "#!/bin/sh\n"],
    ["shut", 0o000, "shut\n"],
  ] as const;
  for (const [path, mode, text] of files) {
    const full = `${directory}/${path}`;
    Deno.mkdirSync(dirname(full), { recursive: true });
    Deno.writeTextFileSync(full, text);
    Deno.chmodSync(full, mode);
  }
}

/** Lists each path with its mode, size and the times of its last changes. */
function inventory(directory: string): string {
  const args = [directory, "-printf", "%P %y %m %s %C@ %n\n"];
  const { success, stdout } = new Deno.Command("find", { args }).outputSync();
  assert(success);
  return new TextDecoder().decode(stdout).split("\n").sort().join("\n");
}

// Story: repair set every file of the wrong directory to 0600 for a moment, and copied all of them.
Deno.test("A repair of a directory of another program is refused before anything is touched", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const wrong = `${temporary}/etc`;
    Deno.mkdirSync(wrong);
    makeForeign(wrong);
    const before = inventory(temporary);
    for (const args of [[], ["--in-place"], ["--out", `${temporary}/out`]]) {
      const refused = await runCountd(["repair", "--data", wrong, ...args]);
      assertEquals([refused.code, refused.text], [3, ""], refused.stderr);
      assertStringIncludes(refused.stderr, `No data directory at ${wrong}`);
      assertEquals(inventory(temporary), before, args.join(" "));
    }
  });
});

Deno.test("A repair recognises a data directory although the start of its control file is damaged", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data, ["visits"]);
    damage(`${data}/control`, 0);
    const repaired = await runCountd(["repair", "--in-place", "--data", data, "--json"]);
    assertEquals(repaired.code, 0, repaired.text);
    await assertCounts(data, ["visits"]);
  });
});

// Story: the repair took a lock in the backup, which changed its control file, and restore refused it.
Deno.test("A repair of a backup is refused, and the backup can still be restored", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const [data, copy, second] = ["data", "copy", "second"].map((name) => `${temporary}/${name}`);
    await makeData(data!, ["visits"]);
    const backup = await runCountd(["backup", copy!, "--data", data!]);
    assertEquals(backup.code, 0, backup.stderr);
    for (const args of [[], ["--in-place"]]) {
      const refused = await runCountd(["repair", "--data", copy!, ...args]);
      assertEquals(refused.code, 5, refused.stderr);
      assertMatch(refused.stderr, /is a backup: run countd restore/);
    }
    const restored = await runCountd(["restore", copy!, "--data", second!]);
    assertEquals(restored.code, 0, restored.stderr);
    await assertCounts(second!, ["visits"]);
  });
});

/**
 * Mapped files on a file system that copies what is overwritten. Each store into a mapping would need new
 * space there, and on a full disk the system ends the process by a signal.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Aof, Geometry } from "../../src/aof/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { BtrfsDisk } from "../support/btrfs_disk.ts";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { makeWholeData } from "./whole_data.ts";

async function withBtrfs(body: (place: string) => Promise<void>): Promise<void> {
  if (!runningAsRoot()) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (directory) => {
    await using disk = await BtrfsDisk.mount(`${directory}/image`, `${directory}/disk`);
    if (disk === null) return console.log("not run: needs mkfs.btrfs and a loop device");
    await body(disk.place);
  });
}

/** Whether the system overwrites a file in place; it cannot be asked to once the file holds bytes. */
function isOverwrittenInPlace(path: string): boolean {
  using file = systemStorage().open(path, { access: "write" });
  return file.avoidCopyOnWrite();
}

// Story: a full btrfs ended `countd db` by SIGBUS at its first set, where 507 was promised.
Deno.test("A new database on btrfs is overwritten in place, and a copy of it is reported", async () => {
  await withBtrfs(async (place) => {
    const files = ["--db", `${place}/map`, "--log", `${place}/log`];
    {
      await using database = startCountd(["db", ...files, "--port", "0"]);
      await database.listening();
      assertEquals(await database.stop(), 0);
      assertEquals(database.stderrLines.join("\n").includes("copied on write"), false);
    }
    for (const name of ["map", "log"]) assertEquals(isOverwrittenInPlace(`${place}/${name}`), true);
    const bytes = Deno.readFileSync(`${place}/map`);
    Deno.removeSync(`${place}/map`);
    Deno.writeFileSync(`${place}/map`, bytes, { mode: 0o600 });
    await using copied = startCountd(["db", ...files, "--port", "0"]);
    await copied.listening();
    assertEquals(await copied.stop(), 0);
    assertStringIncludes(copied.stderrLines.join("\n"), "files are copied on write");
  });
});

// Story: copies of a database that was marked were not, and a full disk ended the restored one by SIGBUS.
Deno.test("A restored and a repaired database on btrfs are overwritten in place, as the first one is", async () => {
  await withBtrfs(async (place) => {
    const data = `${place}/data`;
    await makeWholeData(data);
    for (
      const args of [["backup", `${place}/copy`, "--data", data], [
        "restore",
        `${place}/copy`,
        "--data",
        `${place}/second`,
      ], ["repair", "--data", data]]
    ) {
      const { code, stderr } = await runCountd(args);
      assertEquals(code, 0, stderr);
    }
    for (const copy of [`${place}/second`, `${data}.repaired`]) {
      const paths = [`${copy}/control`, `${copy}/db/db.json`, `${copy}/db/log`];
      assertEquals(paths.map(isOverwrittenInPlace), [true, true, true], copy);
    }
  });
});

Deno.test("An append-only file on btrfs is overwritten in place, and so is its side file", async () => {
  await withBtrfs((place) => {
    const path = `${place}/events`;
    using aof = Aof.open(systemStorage(), path, {
      geometry: new Geometry({ create: true }),
      shared: true,
    });
    aof.write(new TextEncoder().encode("first"));
    assertEquals([path, `${path}.size`].map(isOverwrittenInPlace), [true, true]);
    return Promise.resolve();
  });
});

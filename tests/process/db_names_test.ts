/** Names that a user may give to the files of a database, and names that it reserves. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "@std/fs/exists";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

// Story: the log `l` was published through `l.new`, which was the map of the same database.
Deno.test("A database whose map is called like its log and .new keeps its map", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const names = ["--db", "l.new", "--log", "l"];
    const options = { cwd: temporary };
    for (const run of ["first", "second", "third"]) {
      await using db = startCountd(["db", ...names, "--port=0"], options);
      const { port } = await db.listening();
      const address = `http://127.0.0.1:${port}`;
      if (run === "first") {
        const set = await fetch(`${address}/set/key?value=kept`, { method: "POST" });
        assertEquals(set.status, 200, await set.text());
      } else {
        const got = await fetch(`${address}/get/key`);
        assertEquals([got.status, (await got.text()).trim().includes("kept")], [200, true]);
      }
      assertEquals(await db.stop(), 0);
      assert(existsSync(`${temporary}/l.new`), `after the ${run} run`);
    }
    const repaired = await runCountd(["db", "repair", ...names, "--in-place"], options);
    assertEquals(repaired.code, 0, repaired.stderr);
    assertMatch(repaired.text, /^keys\t1$/m);
    // The export, too, uses two distinct temporary files.
    Deno.mkdirSync(`${temporary}/dump`);
    Deno.writeTextFileSync(`${temporary}/dump/db.json.new`, "mine");
    const exported = await runCountd(["db", "export", "dump", ...names], options);
    assertEquals(exported.code, 0, exported.stderr);
    assertEquals(Deno.readTextFileSync(`${temporary}/dump/db.json.new`), "mine");
  });
});

Deno.test("A database refuses names that it needs for itself, and makes nothing", async () => {
  for (
    const [map, log] of [[".l.new", "l"], ["m", ".m.new"], ["m", "m.failed"], [
      "./.l.new",
      "../work/l",
    ]]
  ) {
    await withTemporaryDirectory(async (temporary) => {
      const directory = `${temporary}/work`;
      Deno.mkdirSync(directory);
      const args = ["db", "--db", map!, "--log", log!, "--port=0"];
      const refused = await runCountd(args, { cwd: directory });
      assertEquals(refused.code, 2, refused.stderr);
      assertMatch(refused.stderr, /uses that name itself: give another name/);
      assertEquals([...Deno.readDirSync(directory)], []);
      assert(!existsSync(`${directory}/${map}`));
    });
  }
});

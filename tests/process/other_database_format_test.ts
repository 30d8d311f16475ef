/** What the commands do with a database that only another countd can read. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { gunzipSync } from "node:zlib";
import { runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const golden = (name: string) =>
  gunzipSync(Deno.readFileSync(new URL(`../golden/db-1-${name}.gz`, import.meta.url)));

Deno.test("A data directory whose database alone has another format is neither sound nor damaged, and nothing changes it", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    assertEquals((await runCountd(["kv", "set", "key", "value", "--data", data])).code, 0);
    Deno.mkdirSync(`${data}/db`);
    Deno.writeFileSync(`${data}/db/db.json`, golden("map"));
    Deno.writeFileSync(`${data}/db/log`, golden("log"));
    const said = /Map of a database \S+ has format 1, and this countd reads format 2/;

    const check = await runCountd(["check", "--data", data]);
    assertEquals([check.code, check.text], [1, ""], check.stderr);
    assertMatch(check.stderr, /^another format: Map of a database /m);
    assertStringIncludes(check.stderr, "checked 0 logs, 0 keyspaces, the tables: no broken rules");

    const copy = await runCountd(["repair", "--data", data, "--out", `${temporary}/copy`]);
    assertEquals(copy.code, 1, copy.stderr);
    assertMatch(copy.text, said);
    for (
      const args of [
        ["repair", "--in-place", "--data", data],
        ["backup", `${temporary}/backup`, "--data", data],
        ["db", "--port=0", "--data", data],
        ["db", "repair", "--in-place", "--data", data],
        ["db", "export", `${temporary}/dump`, "--data", data],
      ]
    ) {
      const { code, text, stderr } = await runCountd(args);
      assertEquals(code, 1, args.join(" "));
      assertMatch(text + stderr, said);
    }
    for (const place of [data, `${temporary}/copy`]) {
      assertEquals(Deno.readFileSync(`${place}/db/db.json`), new Uint8Array(golden("map")));
      assertEquals(Deno.readFileSync(`${place}/db/log`), new Uint8Array(golden("log")));
      assertEquals([...Deno.readDirSync(`${place}/db`)].length, 2);
    }
  });
});

/** Backup and restore that are killed at the command line: a second run handles what they left. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { makeWholeData, readWholeData } from "./whole_data.ts";

const PLACES = {
  backup: ["backup.logs.before", "backup.keyspaces.after", "backup.rename.before"],
  restore: ["restore.rename.before"],
} as const;

Deno.test("A backup and a restore that were killed at any point succeed when they are repeated", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const [data, copy, second] = ["data", "copy", "second"].map((name) => `${temporary}/${name}`);
    await makeWholeData(data!);
    const commands = {
      backup: ["backup", copy!, "--data", data!],
      restore: ["restore", copy!, "--data", second!],
    };
    for (const verb of ["backup", "restore"] as const) {
      for (const place of PLACES[verb]) {
        const env = { COUNTD_FAULT: `kill@${place}` };
        const killed = await runCountd(commands[verb], { env });
        assertEquals(killed.code, 137, `${place}: ${killed.stderr}`);
      }
      const repeated = await runCountd(commands[verb], {
        env: { COUNTD_FAULT: `kill@${verb}.rename.after` },
      });
      assertEquals(repeated.code, 137, repeated.stderr);
      // It has its name, so it is whole.
      const again = await runCountd(commands[verb]);
      assertEquals(again.code, 1, again.stderr);
      assertStringIncludes(again.stderr, "it is not empty");
    }
    await readWholeData(second!, temporary);
    // The places of the killed runs are removed, but for that of the last one of each verb, which is empty.
    const names = [...Deno.readDirSync(temporary)].map(({ name }) => name);
    assertEquals(names.filter((name) => name.includes(".partial-")), []);
  });
});

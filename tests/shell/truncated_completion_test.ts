/** Tab in a keyspace with more counters than the completion searches. */

import { assertEquals } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";
import { withShell } from "./shell_in_terminal.ts";

/** As many counters as are searched, each larger than the one that is not. */
const LARGE = Array.from({ length: 1000 }, (_, index) => `key-01${String(index).padStart(4, "0")}`);
const SMALL = "key-000007";

async function loadCounters(data: string): Promise<void> {
  await using writer = startCountd(["write", "--data", data, "--port", "0"]);
  const { port } = await writer.listening();
  const lines = [...LARGE.map((key) => `pages\t${key}\t2`), `pages\t${SMALL}\t1`, "few\tkey-01\t1"];
  const stdin = lines.join("\n") + "\n";
  const load = await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin });
  assertEquals(load.code, 0, load.stderr);
  assertEquals(await writer.stop(), 0);
}

Deno.test("Tab does not insert a beginning that only the searched counters share", async () => {
  await withShell(async (terminal, { data }) => {
    await loadCounters(data);
    await terminal.type("count few ke");
    await terminal.press("Tab");
    await terminal.shows("countd> count few key-01");
    await terminal.press("C-c");
    for (const typed of ["key-0", "key-01000", "key-010999"]) {
      await waitUntil(`the candidates of ${typed}`, async () => {
        // Two Tabs that arrive together count as a paste: try again.
        await terminal.press("C-u");
        await terminal.type(`count pages ${typed}`);
        await terminal.press("Tab", "Tab");
        const lines = await terminal.lines();
        // The last candidate shows that there are more, and the line is as it was typed.
        return lines.some((line) => line.trimEnd().endsWith(` ${typed}…`)) &&
          lines.at(-1)!.trimEnd() === `countd> count pages ${typed}`;
      }, { deadlineMs: 30_000 });
    }
    await terminal.press("C-c");
    await terminal.type(`count pages ${SMALL}`);
    await terminal.press("Enter");
    await terminal.shows(`countd> count pages ${SMALL}`, "1", "countd>");
    checkData(data);
  });
});

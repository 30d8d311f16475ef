/** The main use: a real access log, counted as sort and uniq count it, at every stage of the data. */

import { assert, assertEquals } from "@std/assert";
import {
  type CountdProcess,
  runCountd,
  runProgram,
  startCountd,
  startProgram,
} from "../support/process.ts";
import { checkData } from "../support/check_data.ts";
import { type SampleColumn, sampleColumns, sampleLines, sampleLog } from "../support/sample_log.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const columns = Object.keys(sampleColumns) as SampleColumn[];

/** Returns the lines `value TAB key` of `sort | uniq -c | sort`, without keys that are too long. */
async function countedByShell(column: SampleColumn): Promise<string> {
  const field = sampleColumns[column];
  const script = `awk 'length($${field}) <= 256 { print $${field} }' | sort | uniq -c | ` +
    `sort -k1,1nr -k2,2 | awk '{ print $1 "\\t" $2 }'`;
  const { code, text, stderr } = await runProgram(["bash", "-c", script], {
    stdin: sampleLog(),
    env: { LC_ALL: "C" },
  });
  assertEquals(code, 0, stderr);
  return text;
}

async function assertCounted(data: string): Promise<void> {
  for (const column of columns) {
    const expected = await countedByShell(column);
    const rows = expected.split("\n").length - 1;
    assert(rows > 5);
    const top = await runCountd(["top", column, "--length", String(rows), "--data", data]);
    assertEquals([top.code, top.text], [0, expected]);
  }
}

async function load(column: SampleColumn, writer: CountdProcess): Promise<[string, string]> {
  const { host, port } = await writer.listening();
  const loaded = await runCountd(["load", "--connect", `${host}:${port}`], {
    stdin: sampleLines(column),
  });
  assertEquals(loaded.code, column === "paths" ? 5 : 0);
  return [loaded.text, loaded.stderr];
}

Deno.test("The sample counts as the shell counts it: at once, folded, and after a restart", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    {
      await using writer = startCountd(["write", "--data", data, "--port", "0"]);
      for (const column of columns) {
        const [stdout, stderr] = await load(column, writer);
        if (column === "paths") {
          assertEquals(stdout, "accepted 9999\nrefused 1\n");
          assert(stderr.includes("Line 3029 is refused"), stderr);
        } else {
          assertEquals(stdout, "accepted 10000\nrefused 0\n");
        }
      }
      const twenty = await runCountd(["top", "paths", "--length", "20", "--data", data]);
      assertEquals(twenty.text.split("\n").length, 21);
      await assertCounted(data);
      assertEquals(await writer.stop(), 0);
    }
    await assertCounted(data);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await assertCounted(data);
    const stale = await runCountd(["top", "paths", "--stale", "--length", "1", "--data", data]);
    assertEquals(stale.text, "807\t/favicon.ico\n");

    await using server = startCountd(
      ["serve", "--data", data, "--write-port", "0", "--read-port", "0"],
    );
    const { host, port } = await server.listening("read");
    await assertCounted(data);
    const asked = await runCountd([
      "top",
      "paths",
      "--length",
      "3",
      "--connect",
      `${host}:${port}`,
    ]);
    assertEquals(asked.text, "807\t/favicon.ico\n546\t/style2.css\n538\t/reset.css\n");
    const totals = await runCountd(["keyspaces", "--data", data]);
    assertEquals(totals.text, "clients\t1753\npaths\t1497\nstatuses\t8\n");
    assertEquals(await server.stop(), 0);
    checkData(data);
  });
});

Deno.test("start shows the top ten of the sample, says ready, and ends at SIGINT or SIGHUP", async () => {
  const script = new URL("../support/start.ts", import.meta.url).pathname;
  const command = [Deno.execPath(), "run", "--quiet", "-A", decodeURIComponent(script)];
  const once = await runProgram([...command, "--once"]);
  assertEquals(once.code, 0, once.stderr);
  assert(once.text.includes("accepted 9999, refused 1"), once.text);
  assert(once.text.includes("\n807\t/favicon.ico\n546\t/style2.css\n"), once.text);
  assert(!once.text.includes("ready"), once.text);

  for (const signal of ["SIGINT", "SIGHUP"] as const) {
    await using staying = startProgram(command);
    await staying.stdoutLine(/^ready$/);
    const data = /--data (\S+)/.exec(staying.stdoutLines.join("\n"))?.[1] ?? "";
    const rank = await runCountd(["rank", "paths", "/", "--data", data]);
    assertEquals([rank.code, rank.text], [0, "8\n"]);
    assertEquals(await staying.stop(signal), 0);
  }
});

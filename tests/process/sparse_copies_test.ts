/**
 * Files that are long and nearly empty. Their length costs nothing, so no copy, check or import may take as
 * much memory or disk.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { countdCommand, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { makeWholeData } from "./whole_data.ts";

const GIBIBYTE = 2 ** 30;
const DISK_BYTES_MAX = 64 * 2 ** 20;

async function diskBytes(path: string): Promise<number> {
  const { text } = await runProgram(["du", "-s", "--block-size=1", path]);
  return Number(text.split("\t")[0]);
}

/** Runs countd and returns the most memory that it had, in bytes. */
async function peakOf(args: readonly string[], code: number): Promise<number> {
  const timed = ["/usr/bin/env", "python3", "-c", PEAK, ...countdCommand(args)];
  const ended = await runProgram(timed, { deadlineMs: 120_000 });
  assertEquals(ended.code, code, `${args.join(" ")}: ${ended.stderr}`);
  return Number(/peak (\d+)$/m.exec(ended.stderr)?.[1]) * 1024;
}

const PEAK = "import resource, subprocess, sys\n" +
  "code = subprocess.call(sys.argv[1:])\n" +
  "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n" +
  "print('peak', peak, file=sys.stderr)\n" +
  "sys.exit(code)\n";

// Story: a db.json of 4 GiB took 4 GiB of disk at the start, and a log of 6 GiB as much memory in check.
Deno.test("Long sparse files take neither memory nor disk in check, backup, restore, repair and db", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const [data, copy, second] = ["data", "copy", "second"].map((name) => `${temporary}/${name}`);
    await makeWholeData(data!);
    for (const path of ["db/db.json", "db/log", "tables/motd.kv"]) {
      Deno.truncateSync(`${data}/${path}`, 2 * GIBIBYTE);
    }
    const of = ["--data", data!];
    const peaks = [
      await peakOf(["check", ...of], 0),
      await peakOf(["backup", copy!, ...of], 0),
      await peakOf(["restore", copy!, "--data", second!], 0),
      await peakOf(["repair", ...of], 0),
      await peakOf(["db", "export", `${temporary}/dump`, ...of], 0),
    ];
    for (const peak of peaks) assert(peak < GIBIBYTE, peaks.join(" "));
    for (const made of [copy!, second!, `${data}.repaired`]) {
      assertEquals(Deno.statSync(`${made}/tables/motd.kv`).size, 2 * GIBIBYTE);
      assert(await diskBytes(made) < DISK_BYTES_MAX, made);
    }
    const long = await runCountd(["kv", "get", "motd", ...of]);
    assertEquals([long.code, long.text], [1, ""], long.stderr);
    assertStringIncludes(long.stderr, "at most 1 GiB is read");
    await using db = startCountd(["db", "--port=0", ...of]);
    const { port } = await db.listening();
    const got = await fetch(`http://127.0.0.1:${port}/get/colour`);
    assertEquals([got.status, (await got.text()).includes("red")], [200, true]);
    assertEquals(await db.stop(), 0);
    assert(await diskBytes(data!) < DISK_BYTES_MAX);
  });
});

Deno.test("Files of mmapd are imported without the padding behind their text, and too long ones are refused", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const [dump, data] = ["dump", "data"].map((name) => `${temporary}/${name}`);
    Deno.mkdirSync(dump!);
    Deno.writeTextFileSync(`${dump}/db.json`, '{"a":"1"}');
    Deno.writeTextFileSync(`${dump}/log.json`, "[]");
    Deno.truncateSync(`${dump}/db.json`, 4 * GIBIBYTE);
    const peak = await peakOf(["db", "import", dump!, "--data", data!], 0);
    assert(peak < GIBIBYTE, String(peak));
    {
      using file = Deno.openSync(`${dump}/db.json`, { write: true });
      file.seekSync(4 * GIBIBYTE - 1, Deno.SeekMode.Start);
      file.writeSync(new TextEncoder().encode("}"));
    }
    const refused = await runCountd(["db", "import", dump!, "--data", `${data}-2`]);
    assertEquals(refused.code, 1, refused.stderr);
    assertStringIncludes(refused.stderr, `its text has ${4 * GIBIBYTE} bytes`);
  });
});

Deno.test("A repair reads no more of a long file with the name of a log than a log can have", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeWholeData(data);
    const log = `${data}/logs/0000000000`;
    const { mode } = Deno.statSync(log);
    Deno.chmodSync(log, 0o600);
    Deno.truncateSync(log, 6 * GIBIBYTE);
    Deno.chmodSync(log, mode! & 0o777);
    assertEquals((await runCountd(["check", "--data", data])).code, 6);
    assert(await peakOf(["repair", "--in-place", "--data", data], 0) < GIBIBYTE);
    assertEquals((await runCountd(["get", "pages", "/about", "--data", data])).text, "7\n");
    assert(await diskBytes(data) < DISK_BYTES_MAX);
  });
});

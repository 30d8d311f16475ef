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

/** Runs countd to its end, with exit code 0 and in less memory than the files are long. */
async function runInLittleMemory(...args: readonly string[]): Promise<void> {
  const timed = ["/usr/bin/env", "python3", "-c", PEAK, ...countdCommand(args)];
  const ended = await runProgram(timed, { deadlineMs: 120_000 });
  assertEquals(ended.code, 0, `${args.join(" ")}: ${ended.stderr}`);
  const peak = Number(/peak (\d+)$/m.exec(ended.stderr)?.[1]) * 1024;
  assert(peak < GIBIBYTE, `${args.join(" ")}: ${peak} bytes of memory`);
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
    await runInLittleMemory("check", ...of);
    for (
      const [made, ...args] of [
        [copy!, "backup", copy!, ...of],
        [second!, "restore", copy!, "--data", second!],
        [`${data}.repaired`, "repair", ...of],
      ] as const
    ) {
      await runInLittleMemory(...args);
      assertEquals(Deno.statSync(`${made}/tables/motd.kv`).size, 2 * GIBIBYTE);
      assert(await diskBytes(made) < DISK_BYTES_MAX, made);
    }
    await runInLittleMemory("db", "export", `${temporary}/dump`, ...of);
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
    await runInLittleMemory("db", "import", dump!, "--data", data!);
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
    await runInLittleMemory("repair", "--in-place", "--data", data);
    assertEquals((await runCountd(["get", "pages", "/about", "--data", data])).text, "7\n");
    assert(await diskBytes(data) < DISK_BYTES_MAX);
  });
});

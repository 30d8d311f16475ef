/** Effects of the options of `shell`, `check`, and of `db` except `db serve`. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { capture, type Captured } from "./capture.ts";
import { type Effects, small, withDaemon, withUnfolded } from "./effect_support.ts";

/** `countd shell` on a directory in which the root table has `a` = 1. */
async function withShell(
  body: (
    shell: (...args: string[]) => Promise<Captured>,
    data: string,
  ) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const shell = (...args: string[]) => capture(["shell", "--data", data, ...args]);
    assertEquals((await shell("-c", "set a 1")).code, 0);
    await body(shell, data);
  });
}

/** Sends to a server whose names have at most 8 bytes. */
function shellSize(option: string, command: string): () => Promise<void> {
  return () =>
    withShell((shell) =>
      withDaemon("write", [...small, option, "8"], async ({ address, data }) => {
        const server = ["--connect", address, option, "8"];
        assertEquals((await shell(...server, "-c", "incr pages a")).code, 0);
        const { stdout } = await capture(["top", "pages", "--data", data]);
        assertEquals(stdout, "1\ta\n");
        assertEquals((await shell(...server, "-c", command)).code, 2);
      })
    );
}

const shellEffects: Effects = {
  "shell --data": () =>
    withShell(async (shell, data) => {
      assertEquals((await shell("-c", "get a")).stdout, "1\n");
      assert(Deno.statSync(`${data}/tables/a.kv`).isFile);
    }),
  "shell --command": () =>
    withShell(async (shell) => {
      for (const spelling of ["-c", "--command"]) {
        assertEquals((await shell(spelling, "set b 2; get b")).stdout, "2\n");
      }
    }),
  "shell --keep-going": () =>
    withShell(async (shell) => {
      const { code, stdout } = await shell("-c", "get nothing; get a");
      assertEquals([code, stdout], [3, ""]);
      const going = await shell("--keep-going", "-c", "get nothing; get a");
      assertEquals([going.code, going.stdout], [3, "1\n"]);
    }),
  "shell --mode": () =>
    withShell(async (shell) => {
      const { stdout } = await shell("--mode", "json", "-c", "get a");
      assertEquals(JSON.parse(stdout), { key: "a", value: "1" });
      assertEquals((await shell("--mode", "raw", "-c", "get a")).stdout, "1\n");
    }),
  "shell --lock-timeout": () =>
    withShell(async (shell, data) => {
      using held = systemStorage().open(`${data}/tables/a.kv`, { access: "write" });
      assert(held.tryFlock("exclusive"));
      assertEquals((await shell("--lock-timeout", "20ms", "-c", "get a")).code, 75);
    }),
  "shell --connect": () =>
    withShell((shell) =>
      withDaemon("write", small, async ({ address, data }) => {
        assertEquals((await shell("--connect", address, "-c", "incr pages x 7")).code, 0);
        assertEquals((await capture(["get", "pages", "x", "--data", data])).stdout, "7\n");
      })
    ),
  "shell --connect-read": () =>
    withShell((shell) =>
      withUnfolded(async (data) => {
        await using server = startCountd(["read", "--data", data, "--port", "0"]);
        const { host, port } = await server.listening();
        const { stdout } = await shell("--connect-read", `${host}:${port}`, "-c", "count pages a");
        assertEquals(stdout, "30\n");
        assertEquals(await server.stop(), 0);
      })
    ),
  "shell --keyspace-size": shellSize("--keyspace-size", "incr nine-long a"),
  "shell --key-size": shellSize("--key-size", "incr pages nine-long"),
};

/** Makes a database with one key from the two files of mmapd below `directory`. */
async function importInto(directory: string, ...options: string[]): Promise<Captured> {
  const input = `${directory}/input`;
  Deno.mkdirSync(input, { recursive: true });
  Deno.writeTextFileSync(`${input}/db.json`, '{"name":"value"}');
  return await capture(["db", "import", input, ...options]);
}

/** Imports a database with `options`; `db export` with the same options must find it. */
function importAndExport(place: (directory: string) => string[], file: string) {
  return async () => {
    await withTemporaryDirectory(async (directory) => {
      const options = place(directory);
      const made = await importInto(directory, ...options);
      assertEquals(made.code, 0, made.stderr);
      assert(Deno.statSync(`${directory}/${file}`).isFile);
      const out = `${directory}/out`;
      const exported = await capture(["db", "export", out, ...options]);
      assertEquals(exported.code, 0, exported.stderr);
      assertStringIncludes(Deno.readTextFileSync(`${out}/db.json`), '"name":"value"');
      const other = await capture(["db", "export", `${out}2`, "--data", `${directory}/other`]);
      assertEquals(other.code, 3, "a database that is not there");
    });
  };
}

const inData = importAndExport((directory) => ["--data", `${directory}/data`], "data/db/db.json");
const byName = importAndExport((directory) => ["--db", `${directory}/map`], "map");
const byLog = importAndExport(
  (directory) => ["--db", `${directory}/map`, "--log", `${directory}/entries`],
  "entries",
);

/** Repairs a sound database; the pair must be where the options say. */
function repairs(
  look: (directory: string, repair: (...options: string[]) => Promise<Captured>) => Promise<void>,
): () => Promise<void> {
  return () =>
    withTemporaryDirectory(async (directory) => {
      const files = ["--db", `${directory}/map`, "--log", `${directory}/entries`];
      assertEquals((await importInto(directory, ...files)).code, 0);
      await look(directory, (...options) => capture(["db", "repair", ...files, ...options]));
    });
}

const repairNames = repairs(async (directory, repair) => {
  const { code, stdout } = await repair();
  assertEquals(code, 0);
  assertStringIncludes(stdout, `written\t${directory}/map.repaired/map\t`);
  assert(Deno.statSync(`${directory}/map.repaired/entries`).isFile);
});

const dbEffects: Effects = {
  "db export --data": inData,
  "db import --data": inData,
  "db export --db": byName,
  "db import --db": byName,
  "db export --log": byLog,
  "db import --log": byLog,
  "db repair --data": () =>
    withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      assertEquals((await importInto(directory, "--data", data)).code, 0);
      assertEquals((await capture(["db", "repair", "--data", data])).code, 0);
      assert(Deno.statSync(`${data}/db/db.json.repaired/db.json`).isFile);
    }),
  "db repair --db": repairNames,
  "db repair --log": repairNames,
  "db repair --out": repairs(async (directory, repair) => {
    assertEquals((await repair("--out", `${directory}/out`)).code, 0);
    assert(Deno.statSync(`${directory}/out/map`).isFile);
  }),
  "db repair --in-place": repairs(async (directory, repair) => {
    assertEquals((await repair("--in-place")).code, 0);
    assert(Deno.statSync(`${directory}/map.damaged`).isFile);
    assertEquals((await repair("--in-place", "--out", `${directory}/out`)).code, 2);
  }),
};

const careEffects: Effects = {
  "check --data": () =>
    withUnfolded(async (data) => {
      assertEquals((await capture(["check", "--data", data])).code, 0);
      assertEquals((await capture(["check", "--data", `${data}/missing`])).code, 3);
    }),
  "repair --data": () =>
    withUnfolded(async (data) => {
      assertEquals((await capture(["repair", "--data", data])).code, 0);
      assertEquals((await capture(["get", "pages", "a", "--data", `${data}.repaired`])).code, 0);
    }),
  "repair --out": () =>
    withUnfolded(async (data) => {
      const out = `${data}-out`;
      assertEquals((await capture(["repair", "--data", data, "--out", out])).code, 0);
      assertEquals((await capture(["get", "pages", "a", "--data", out])).stdout, "30\n");
      assertEquals((await capture(["repair", "--out", out, "--in-place"])).code, 2);
    }),
  "repair --in-place": () =>
    withUnfolded(async (data) => {
      assertEquals((await capture(["repair", "--data", data, "--in-place"])).code, 0);
      const names = [...Deno.readDirSync(`${data}/..`)].map(({ name }) => name);
      assertEquals(names, ["data"], "no copy is made");
    }),
  "backup --data": backsUp,
  "restore --data": backsUp,
  "check --clear-failed": () =>
    withUnfolded(async (data) => {
      const storage = systemStorage();
      {
        using directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
        directory.markFailed("a test", 0);
      }
      const status = await capture(["status", "--data", data]);
      assertStringIncludes(status.stdout, "failed\tyes: a test\n");
      assertEquals((await capture(["check", "--clear-failed", "--data", data])).code, 0);
      const after = await capture(["status", "--data", data]);
      assertStringIncludes(after.stdout, "failed\tno\n");
    }),
};

/** Backs up a directory of increments and restores the copy to another one. */
async function backsUp(): Promise<void> {
  await withUnfolded(async (data) => {
    const [copy, second] = [`${data}/../copy`, `${data}/../second`];
    const made = await capture(["backup", copy, "--data", data]);
    assertEquals(made.code, 0, made.stderr);
    const restored = await capture(["restore", copy, "--data", second]);
    assertEquals(restored.code, 0, restored.stderr);
    assertEquals((await capture(["get", "pages", "a", "--data", second])).stdout, "30\n");
    assertEquals((await capture(["backup", `${copy}2`, "--data", `${data}/missing`])).code, 3);
    assert((await capture(["restore", copy, "--data", second])).code !== 0);
  });
}

const logEffects: Effects = {
  "log tail --follow": () =>
    withDaemon("write", small, async ({ address, data }) => {
      const path = `${data}/logs/0000000000`;
      await using following = startCountd(["log", "tail", path, "--follow"]);
      const send = (key: string) => capture(["incr", "pages", key, "--connect", address]);
      assertEquals((await send("first")).code, 0);
      await following.stdoutLine(/^pages\tfirst\t1$/);
      // What is appended later is printed too; without --follow the output ends here.
      assertEquals((await send("second")).code, 0);
      await following.stdoutLine(/^pages\tsecond\t1$/);
      const { code, stdout } = await capture(["log", "tail", path]);
      assertEquals([code, stdout], [0, "pages\tfirst\t1\npages\tsecond\t1\n"]);
      assertEquals(await following.stop(), 0);
    }),
};

export const storeEffects: Effects = {
  ...shellEffects,
  ...dbEffects,
  ...careEffects,
  ...logEffects,
};

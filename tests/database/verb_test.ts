/** `countd db` as real processes. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { check } from "../../src/database/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { type CountdProcess, runCountd, startCountd } from "../support/process.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { within } from "../support/wait.ts";

const manyStarts = new FullCount("servers that start at once");
const kills = new FullCount("kills of countd db", { weight: 4 });

interface Files {
  readonly directory: string;
  readonly args: readonly string[];
  readonly paths: { readonly map: string; readonly log: string };
}

async function withFiles(body: (files: Files) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const paths = { map: `${directory}/db.json`, log: `${directory}/log.json` };
    await body({ directory, paths, args: ["--db", paths.map, "--log", paths.log] });
    const isThere = [paths.map, paths.log].every((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    });
    if (isThere) assertEquals(check(systemStorage(), paths), []);
  });
}

async function urlOf(process: CountdProcess): Promise<string> {
  const { host, port } = await process.listening();
  return `http://${host}:${port}`;
}

/** The status of the answer; 0 if the server went away. */
async function set(url: string, key: string, value: string): Promise<number> {
  try {
    const response = await fetch(`${url}/set/${key}`, {
      method: "POST",
      body: value,
      signal: AbortSignal.timeout(30_000),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}

async function get(url: string, key: string): Promise<string | null> {
  const response = await fetch(`${url}/get/${key}`);
  const text = await response.text();
  return response.status === 200 ? text : null;
}

Deno.test("countd db serves, stops cleanly on SIGTERM, SIGINT and SIGHUP, and finds everything again", async () => {
  await withFiles(async ({ args, paths }) => {
    for (const [round, signal] of (["SIGTERM", "SIGINT", "SIGHUP"] as const).entries()) {
      await using server = startCountd(["db", ...args, "--port", "0"]);
      const url = await urlOf(server);
      for (let before = 0; before < round; before++) {
        assertEquals(await get(url, `key-${before}`), `value-${before}`);
      }
      assertEquals(await set(url, `key-${round}`, `value-${round}`), 200);
      const { logBytes } = await (await fetch(`${url}/status`)).json();
      assertEquals(await server.stop(signal), 0);
      // The database was closed, not only ended: the log is truncated to its end.
      assertEquals(Deno.statSync(paths.log).size, Number(logBytes));
    }
  });
});

Deno.test("countd db serve without files makes them in the data directory, with 0700 and 0600", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using server = startCountd(["db", "serve", "--data", `${directory}/data`, "--port", "0"]);
    assertEquals(await set(await urlOf(server), "x", "1"), 200);
    assertEquals(await server.stop(), 0);
    const modeOf = (path: string) => (Deno.statSync(`${directory}/${path}`).mode ?? 0) & 0o777;
    assertEquals(["data", "data/db"].map(modeOf), [0o700, 0o700]);
    assertEquals(["data/db/db.json", "data/db/log"].map(modeOf), [0o600, 0o600]);
    const paths = { map: `${directory}/data/db/db.json`, log: `${directory}/data/db/log` };
    assertEquals(check(systemStorage(), paths), []);
  });
});

Deno.test("countd db does not serve a data directory that is marked failed", async () => {
  await withTemporaryDirectory(async (directory) => {
    const { DataDirectory, describeSelf } = await import("../../src/counters/commitlog/mod.ts");
    const storage = systemStorage();
    const data = `${directory}/data`;
    {
      using opened = DataDirectory.openOrCreate(storage, data, { self: describeSelf(storage) });
      opened.markFailed("a sync failed", 0);
    }
    const ended = await runCountd(["db", "--data", data, "--port", "0"]);
    assertEquals(ended.code, 6, ended.stderr);
    assertStringIncludes(ended.stderr, "countd check --clear-failed");
  });
});

Deno.test("A second countd db on the same files is refused with exit 75", async () => {
  await withFiles(async ({ args, directory }) => {
    await using server = startCountd(["db", ...args, "--port", "0"]);
    const url = await urlOf(server);
    for (const verb of [["db"], ["db", "export", `${directory}/out`], ["db", "repair"]]) {
      const second = await runCountd([
        ...verb,
        ...args,
        ...verb.length === 1 ? ["--port", "0"] : [],
      ]);
      assertEquals(second.code, 75, second.stderr);
      assertStringIncludes(second.stderr, "another process has it open");
    }
    assertEquals(await set(url, "x", "1"), 200);
    assertEquals(await server.stop(), 0);
  });
});

Deno.test("Of several servers that start at once without files, one owns the files and serves", async () => {
  for (const _ of manyStarts.rounds(2, 20)) {
    await withFiles(async ({ args }) => {
      await using stack = new AsyncDisposableStack();
      const servers = Array.from(
        { length: 4 },
        () => stack.use(startCountd(["db", ...args, "--port", "0"])),
      );
      const outcomes = await Promise.all(servers.map((server) =>
        Promise.any([
          server.listening().then(() => "listening"),
          server.ended().then(({ code }) => `exit ${code}`),
        ])
      ));
      assertEquals(outcomes.sort(), ["exit 75", "exit 75", "exit 75", "listening"]);
      const owner = servers.find((server) => !server.over) as CountdProcess;
      const url = await urlOf(owner);
      assertEquals(await set(url, "x", "1"), 200);
      assertEquals(await owner.stop(), 0);
      await using again = startCountd(["db", ...args, "--port", "0"]);
      assertEquals(await get(await urlOf(again), "x"), "1");
      assertEquals(await again.stop(), 0);
    });
  }
});

Deno.test("A directory or a file that cannot be written is a clear error, and the port stays closed", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.chmodSync(directory, 0o755);
    const closed = `${directory}/closed`;
    Deno.mkdirSync(closed);
    Deno.writeTextFileSync(`${closed}/db.json`, '{"x":"1"}');
    Deno.chmodSync(`${closed}/db.json`, 0o444);
    Deno.chmodSync(closed, 0o555);
    for (const name of ["db.json", "new.json"]) {
      const ended = await runCountd(
        ["db", "--db", `${closed}/${name}`, "--log", `${closed}/${name}.log`, "--port", "0"],
        { as: "ordinary" },
      );
      assertEquals(ended.code, 1, ended.stderr);
      assertMatch(ended.stderr, /permission denied \(EACCES\)/);
      assertStringIncludes(ended.stderr, closed);
      assertEquals(ended.stderr.includes("listening"), false);
    }
    Deno.chmodSync(closed, 0o755);
    assertEquals([...Deno.readDirSync(closed)].map(({ name }) => name), ["db.json"]);
    assertEquals(Deno.readTextFileSync(`${closed}/db.json`), '{"x":"1"}');
  });
});

Deno.test("A real limit on the size of files gives 507, and the old state stays, after a restart too", async () => {
  await withFiles(async ({ args }) => {
    const { startProgram } = await import("../support/process.ts");
    const main = decodeURIComponent(new URL("../../main.ts", import.meta.url).pathname);
    const binary = Deno.env.get("COUNTD_TEST_BINARY");
    const command = binary
      ? [binary]
      : [Deno.execPath(), "run", "--quiet", "-A", "--no-check", main];
    // 512 KiB in the blocks of dash and bash alike is at least 512 and at most 1024 blocks.
    const script = 'ulimit -f 1024 && exec "$@"';
    const env = { DENO_NO_UPDATE_CHECK: "1" };
    await using server = startProgram(
      ["/bin/sh", "-c", script, "sh", ...command, "db", ...args, "--port", "0"],
      { env },
    );
    const url = await urlOf(server);
    assertEquals(await set(url, "x", "small"), 200);
    assertEquals(await set(url, "x", "v".repeat(2 ** 21)), 507);
    assertEquals(await get(url, "x"), "small");
    assertEquals(await set(url, "y", "fits"), 200);
    assertEquals(await server.stop(), 0);
    await using again = startCountd(["db", ...args, "--port", "0"]);
    const second = await urlOf(again);
    assertEquals([await get(second, "x"), await get(second, "y")], ["small", "fits"]);
    assertEquals(await again.stop(), 0);
  });
});

Deno.test("A set that is killed between the log and the map is visible after the restart, once", async () => {
  await withFiles(async ({ args }) => {
    {
      await using server = startCountd(["db", ...args, "--port", "0"], {
        env: { COUNTD_FAULT: "kill@db.apply.before#3" },
      });
      const url = await urlOf(server);
      assertEquals(await set(url, "x", "1"), 200);
      assertEquals(await set(url, "x", "2"), 200);
      assertEquals(await set(url, "x", "3"), 0);
      assertEquals((await server.ended()).signal, "SIGKILL");
    }
    await using server = startCountd(["db", ...args, "--port", "0"]);
    const url = await urlOf(server);
    assertEquals(await get(url, "x"), "3");
    const log = await (await fetch(`${url}/log`)).json();
    assertEquals(log.map((entry: { Value: string }) => entry.Value), ["1", "2", "3"]);
    assertEquals(await server.stop(), 0);
  });
});

/** Fault points at which a real process is killed, and whether the set of that moment was stored. */
const points: readonly [point: string, isStored: boolean | null][] = [
  ["db.append.before#3", false],
  ["db.append.after#3", true],
  ["db.sync.log.before#3", true],
  ["db.sync.log.after#3", true],
  ["db.publish.write.after", null],
  ["db.publish.keep.after", null],
  ["db.publish.log.after", null],
  ["db.publish.map.after", null],
];

for (const [point, isStored] of points) {
  Deno.test(`After a kill at ${point}, countd db starts again with the last complete state`, async () => {
    await withFiles(async ({ args, paths }) => {
      Deno.writeTextFileSync(paths.map, '{"original":"kept"}');
      {
        await using server = startCountd(["db", ...args, "--port", "0", "--sync", "always"], {
          env: { COUNTD_FAULT: `kill@${point}` },
        });
        if (isStored !== null) {
          const url = await urlOf(server);
          assertEquals(await set(url, "x", "1"), 200);
          assertEquals(await set(url, "x", "2"), 200);
          assertEquals(await set(url, "x", "3"), 0);
        }
        assertEquals((await server.ended()).signal, "SIGKILL");
      }
      await using server = startCountd(["db", ...args, "--port", "0"]);
      const url = await urlOf(server);
      assertEquals(await get(url, "original"), "kept");
      if (isStored !== null) assertEquals(await get(url, "x"), isStored ? "3" : "2");
      assertEquals(await set(url, "x", "4"), 200);
      assertEquals(await server.stop(), 0);
      assertEquals(Deno.readTextFileSync(`${paths.map}.orig`), '{"original":"kept"}');
    });
  });
}

Deno.test("A kill at any moment under load loses no acknowledged set", async () => {
  const random = new Random(seedForTest("kill -9 of countd db"));
  await withFiles(async ({ args }) => {
    const acknowledged = new Map<string, number>();
    const sent = new Map<string, number>();
    for (const _ of kills.rounds(5, 200)) {
      await using server = startCountd(["db", ...args, "--port", "0"]);
      const url = await urlOf(server);
      for (const [key, number] of acknowledged) {
        const found = Number(await get(url, key));
        assert(
          found >= number && found <= (sent.get(key) ?? 0),
          `${key}: ${found}, acknowledged ${number}`,
        );
      }
      const isOver = new AbortController();
      const clients = Array.from({ length: 8 }, async (_, client) => {
        const key = `key-${client}`;
        while (!isOver.signal.aborted) {
          const number = (sent.get(key) ?? 0) + 1;
          sent.set(key, number);
          if (await set(url, key, `${number}`) !== 200) return;
          acknowledged.set(key, number);
        }
      });
      const total = random.between(1, 400);
      await within("sets", untilSum(acknowledged, total));
      await server.kill();
      isOver.abort();
      await Promise.all(clients);
    }
  });
});

/** Resolves when `more` sets have been acknowledged beyond those at the start. */
async function untilSum(acknowledged: ReadonlyMap<string, number>, more: number): Promise<void> {
  const sum = () => [...acknowledged.values()].reduce((left, right) => left + right, 0);
  const start = sum();
  while (sum() < start + more) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("A failed sync ends the daemon, is remembered, and repair --in-place clears it", async () => {
  await withFiles(async ({ args, paths }) => {
    {
      await using server = startCountd(["db", ...args, "--sync", "always", "--port", "0"], {
        env: { COUNTD_FAULT: "EIO@sync#12" },
      });
      const url = await urlOf(server);
      let status = 200;
      let count = 0;
      while (status === 200) status = await set(url, "x", `${++count}`);
      assert(status === 503 || status === 0, `${status}`);
      const ended = await server.ended();
      assertEquals(ended.code, 6, ended.stderr);
      assertStringIncludes(ended.stderr, "countd db repair");
    }
    const refused = await runCountd(["db", ...args, "--port", "0"]);
    assertEquals(refused.code, 6, refused.stderr);
    assertStringIncludes(refused.stderr, "repair --in-place");
    assertEquals(check(systemStorage(), paths).map(({ invariant }) => invariant), [10]);
    const repaired = await runCountd(["db", "repair", "--in-place", ...args]);
    assertEquals(repaired.code, 0, repaired.stderr);
    await using server = startCountd(["db", ...args, "--port", "0"]);
    assert(await get(await urlOf(server), "x") !== null);
    assertEquals(await server.stop(), 0);
  });
});

Deno.test("Damage is exit 6, and db repair, export and import carry the data over", async () => {
  await withFiles(async ({ args, directory, paths }) => {
    Deno.writeTextFileSync(paths.map, '{"x":"h"}lo"}');
    const refused = await runCountd(["db", ...args, "--port", "0"]);
    assertEquals(refused.code, 6);
    assertStringIncludes(refused.stderr, "countd db repair");
    assertEquals(Deno.readTextFileSync(paths.map), '{"x":"h"}lo"}');
    const repaired = await runCountd(["db", "repair", ...args, "--json"]);
    assertEquals(repaired.code, 0, repaired.stderr);
    const report = JSON.parse(repaired.text);
    assertEquals([report.keys, report.entries, report.entriesLost], ["1", "0", "0"]);
    const copy = ["--db", report.written.map, "--log", report.written.log];
    const exported = await runCountd(["db", "export", `${directory}/out`, ...copy]);
    assertEquals([exported.code, exported.text], [0, "keys\t1\nentries\t0\n"], exported.stderr);
    assertEquals(Deno.readTextFileSync(`${directory}/out/db.json`), '{"x":"h"}');
    const fresh = ["--db", `${directory}/fresh`, "--log", `${directory}/fresh-log`];
    const imported = await runCountd(["db", "import", `${directory}/out`, ...fresh, "--json"]);
    assertEquals([imported.code, imported.text], [0, '{"keys":"1","entries":"0"}\n']);
    const again = await runCountd(["db", "import", `${directory}/out`, ...fresh]);
    assertEquals(again.code, 1, again.stderr);
    for (const verb of ["export", "import"]) {
      const none = await runCountd(["db", verb, `${directory}/none`, "--db", `${directory}/a/b`]);
      assertEquals([none.code, none.text], [3, ""], none.stderr);
    }
    Deno.removeSync(paths.map);
  });
});

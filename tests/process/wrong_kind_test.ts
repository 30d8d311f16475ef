/**
 * Something else in place of a file: a FIFO, a socket, a directory, a circle of links, a file of another
 * owner. It is refused by name, without a wait, and what does not need it goes on.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { giveToOrdinaryUser, runningAsRoot } from "../support/ordinary_user.ts";
import { FullCount } from "../support/full_count.ts";
import { type Ended, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

/** A wait for the other end of a FIFO has no end. */
const DEADLINE_MS = 15_000;

const otherFiles = new FullCount("kinds in place of a file");
const otherKeyspaces = new FullCount("kinds in place of a keyspace file");
const otherLogs = new FullCount("kinds in place of a commit log");

type Place = (path: string) => Promise<unknown> | unknown;

const KINDS: Readonly<Record<string, Place>> = {
  "a FIFO": (path) => runProgram(["mkfifo", path]),
  "a socket": (path) => Deno.listen({ transport: "unix", path }),
  "a directory": (path) => Deno.mkdirSync(path),
  "a circle of links": (path) => Deno.symlinkSync(path, path),
};

/** Calls `body` while something else has the name of a file, which may be missing. */
async function withPlaced(place: Place, path: string, body: () => Promise<void>): Promise<void> {
  const aside = await Deno.makeTempDir();
  const isThere = await exists(path);
  if (isThere) Deno.renameSync(path, `${aside}/file`);
  const placed = await place(path);
  assert(await exists(path));
  await body();
  // The runtime may remove the name of a socket when it closes it.
  if (typeof placed === "object" && placed !== null && "close" in placed) {
    (placed as Deno.Listener).close();
  }
  if (await exists(path)) Deno.removeSync(path);
  if (isThere) Deno.renameSync(`${aside}/file`, path);
  Deno.removeSync(aside);
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}

interface As {
  readonly as?: "ordinary";
}

async function run(words: readonly string[], as: As = {}): Promise<Ended> {
  return await runCountd(words, { deadlineMs: DEADLINE_MS, ...as });
}

/** Counts 1 for the key `k` of each keyspace, in a log that is sealed then. */
async function count(data: string, keyspaces: readonly string[], as: As = {}): Promise<void> {
  const ports = ["--port", "0", "--log-size", "64KiB"];
  await using writer = startCountd(["write", "--data", data, ...ports], as);
  const { port } = await writer.listening();
  const stdin = keyspaces.map((name) => `${name}\tk\t1\n`).join("");
  const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin });
  assertEquals(loaded.code, 0, loaded.stderr);
  assertEquals(await writer.stop(), 0, writer.stderrLines.join("\n"));
}

async function assertCount(data: string, keyspace: string, value: number, as: As = {}) {
  const { code, text, stderr } = await run(["get", keyspace, "k", "--data", data], as);
  assertEquals([code, text], [0, `${value}\n`], stderr);
}

/** Asserts that a verb ends in words that name the path, with one of the codes. */
function assertRefused({ code, signal, text, stderr }: Ended, path: string, ...codes: number[]) {
  const said = text + stderr;
  assertEquals(signal, null, said);
  assert(codes.includes(code), `${code}: ${said}`);
  assertStringIncludes(said, path);
  assert(!/bug|^ +at /m.test(said), said);
}

/** While one keyspace file cannot be used: it is named by every verb, and the others are counted. */
async function assertOthersGoOn(data: string, good: number, as: As = {}): Promise<void> {
  const bad = `${data}/keyspaces/bad`;
  await count(data, ["good"], as);
  const once = await run(["worker", "--once", "--data", data], as);
  assertEquals(once.code, 6, once.stderr);
  assertMatch(once.stderr, /event="keyspace quarantined" keyspace=bad/);
  assertEquals(once.stderr.split("keyspace quarantined").length, 2, once.stderr);
  await assertCount(data, "good", good, as);
  assertRefused(await run(["get", "bad", "k", "--data", data], as), bad, 1, 6);
  assertRefused(await run(["check", "--data", data], as), bad, 6);
  assertRefused(await run(["status", "--data", data], as), bad, 0);
  const listed = await run(["keyspaces", "--data", data], as);
  assertStringIncludes(listed.text, "good\t1\n", listed.stderr);
  assertEquals([listed.code, listed.signal], [6, null], listed.text + listed.stderr);
  assertRefused(await run(["backup", `${data}-backup`, "--data", data], as), bad, 1, 6);
}

Deno.test("Something else in place of a keyspace file is named by every verb, and the others are folded", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const bad = `${data}/keyspaces/bad`;
    await count(data, ["bad", "good"]);
    assertEquals((await run(["worker", "--once", "--data", data])).code, 0);
    await count(data, ["bad", "good"]);
    let good = 2;
    const isTried = ([kind]: [string, Place]) => ["a FIFO", "a circle of links"].includes(kind);
    for (const [, place] of otherKeyspaces.choices(Object.entries(KINDS), isTried)) {
      await withPlaced(place, bad, () => assertOthersGoOn(data, ++good));
    }
    assertEquals((await run(["worker", "--once", "--data", data])).code, 0);
    await assertCount(data, "bad", 2);
    await assertCount(data, "good", good);
    checkData(data);
  });
});

Deno.test("A keyspace file of another owner is named by every verb, and the others are folded", async () => {
  if (!runningAsRoot()) return console.log("left to root: a file of another owner");
  await withTemporaryDirectory(async (directory) => {
    giveToOrdinaryUser(directory);
    const as = { as: "ordinary" } as const;
    const data = `${directory}/data`;
    const bad = `${data}/keyspaces/bad`;
    await count(data, ["bad", "good"], as);
    assertEquals((await run(["worker", "--once", "--data", data], as)).code, 0);
    await count(data, ["bad", "good"], as);
    Deno.chownSync(bad, 0, 0);
    await assertOthersGoOn(data, 3, as);
    const ports = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];
    await using serve = startCountd(["serve", "--data", data, ...ports], as);
    const address = `127.0.0.1:${(await serve.listening("read")).port}`;
    await serve.stderrLine(/keyspace quarantined/);
    const metrics = await serve.stderrLine(/^metrics on 127\.0\.0\.1:(\d+)/);
    await waitUntil("a readiness that names it", async () => {
      const ready = await fetch(`http://127.0.0.1:${metrics[1]}/readyz`);
      const body = await ready.text();
      return ready.status === 503 && body.includes(bad);
    });
    const status = await run(["status", "--data", data], as);
    assertMatch(status.text, /trouble\t.*keyspace bad is in quarantine/);
    assertEquals((await run(["get", "bad", "k", "--connect", address])).code, 6);
    assertEquals((await run(["get", "good", "k", "--connect", address])).text, "3\n");
    assertEquals(await serve.stop(), 0);
    giveToOrdinaryUser(data);
    assertEquals((await run(["worker", "--once", "--data", data], as)).code, 0);
    await assertCount(data, "bad", 2, as);
    checkData(data);
  });
});

Deno.test("Something else in place of a commit log makes every question an error, and writers take another log", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const log = `${data}/logs/0000000000`;
    await count(data, ["a"]);
    let inOthers = 0;
    const isTried = ([kind]: [string, Place]) => ["a socket", "a directory"].includes(kind);
    for (const [, place] of otherLogs.choices(Object.entries(KINDS), isTried)) {
      await withPlaced(place, log, async () => {
        await count(data, ["a"]);
        inOthers++;
        assertRefused(await run(["get", "a", "k", "--data", data]), log, 6);
        assertRefused(await run(["keyspaces", "--data", data]), log, 6);
        assertRefused(await run(["check", "--data", data]), log, 6);
        assertRefused(await run(["worker", "--once", "--data", data]), log, 6);
        assertRefused(await run(["log", "inspect", log]), log, 1);
        assertEquals((await run(["status", "--data", data])).code, 0);
      });
    }
    assertEquals((await run(["worker", "--once", "--data", data])).code, 0);
    await assertCount(data, "a", 1 + inOthers);
    checkData(data);
  });
});

Deno.test("A commit log of another owner is reported, writers take another, and no answer leaves it out", async () => {
  if (!runningAsRoot()) return console.log("left to root: a file of another owner");
  await withTemporaryDirectory(async (directory) => {
    giveToOrdinaryUser(directory);
    const as = { as: "ordinary" } as const;
    const data = `${directory}/data`;
    const log = `${data}/logs/0000000000`;
    await count(data, ["a"], as);
    Deno.chownSync(log, 0, 0);
    Deno.chmodSync(log, 0o600);
    await count(data, ["a"], as);
    const names = [...Deno.readDirSync(`${data}/logs`)].map(({ name }) => name);
    assertEquals(names.filter((name) => name.startsWith("lock-")), []);
    assertRefused(await run(["get", "a", "k", "--data", data], as), log, 1);
    assertRefused(await run(["check", "--data", data], as), log, 6);
    assertRefused(await run(["worker", "--once", "--data", data], as), log, 6);
    giveToOrdinaryUser(data);
    assertEquals((await run(["worker", "--once", "--data", data], as)).code, 0);
    await assertCount(data, "a", 2, as);
    checkData(data);
  });
});

Deno.test("Something else in place of control, a value, a database, a report or an append-only file is refused at once", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await count(data, ["a"]);
    assertEquals((await run(["kv", "set", "v", "1", "--data", data])).code, 0);
    await using db = startCountd(["db", "--data", data, "--port", "0"]);
    await db.listening();
    assertEquals(await db.stop(), 0);
    const backup = `${directory}/backup`;
    assertEquals((await run(["backup", backup, "--data", data])).code, 0);
    const events = `${directory}/events`;
    const all = [
      ...["get a k", "check", "status", "worker --once", `backup ${directory}/other`],
      ...["write --port 0", "read --port 0", "serve --write-port 0 --read-port 0"],
    ];
    const cases: readonly (readonly [path: string, lines: readonly string[], data: boolean])[] = [
      [`${data}/control`, all, true],
      [`${data}/tables/v.kv`, ["kv get v", "kv set v 2", "check"], true],
      [`${data}/db/db.json`, ["db --port 0", "check"], true],
      [`${data}/db/log`, ["db --port 0", "check"], true],
      [`${backup}/backup.json`, [`restore ${backup} --data ${directory}/restored`], false],
      [events, [`log inspect ${events}`, `log tail ${events}`], false],
    ];
    const [fifo, ...others] = Object.values(KINDS);
    const placed = cases.flatMap((one, index) =>
      [fifo!, ...others].map((place) => {
        const isNormal = place === fifo || place === others[index % others.length];
        return { place, one, isNormal };
      })
    );
    for (const { place, one } of otherFiles.choices(placed, ({ isNormal }) => isNormal)) {
      const [path, lines, hasData] = one;
      await withPlaced(place, path, async () => {
        for (const line of lines) {
          const words = [...line.split(" "), ...(hasData ? ["--data", data] : [])];
          assertRefused(await run(words), path, 1, 6);
        }
      });
    }
    for (const place of Object.values(KINDS)) {
      await withPlaced(place, `${data}/run/x`, async () => {
        assertEquals((await run(["status", "--data", data])).code, 0);
      });
    }
    checkData(data);
  });
});

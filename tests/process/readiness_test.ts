/** `/readyz` and `countd status`: a daemon is ready only if each of its parts can do its work. */

import { assertEquals, assertMatch } from "@std/assert";
import { giveToOrdinaryUser, runningAsRoot } from "../support/ordinary_user.ts";
import { type CountdProcess, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

const ports = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];

async function readiness(daemon: CountdProcess): Promise<string> {
  const [, address] = await daemon.stderrLine(/^metrics on (\S+)$/);
  const response = await fetch(`http://${address}/readyz`);
  return `${response.status} ${await response.text()}`;
}

async function isReady(daemon: CountdProcess): Promise<void> {
  await waitUntil("readiness", async () => await readiness(daemon) === "200 ready\n");
}

/** Waits for an answer that is not 200 and whose body has a line like this. */
async function isNotReady(daemon: CountdProcess, reason: RegExp): Promise<void> {
  await waitUntil(`a reason like ${reason}`, async () => {
    const text = await readiness(daemon);
    return /^503 (not ready|failed|starting)\n/.test(text) && reason.test(text);
  });
}

interface StatusJson {
  readonly ready: boolean;
  readonly notReady: readonly string[];
}

async function statusOf(data: string): Promise<StatusJson> {
  const { code, text, stderr } = await runCountd(["status", "--json", "--data", data]);
  assertEquals(code, 0, stderr);
  return JSON.parse(text);
}

/** Waits until `countd status` gives a reason like this. Daemons report twice a second. */
async function statusSays(data: string, reason: RegExp): Promise<void> {
  await waitUntil(`a reason like ${reason} in the status`, async () => {
    const { ready, notReady } = await statusOf(data);
    return !ready && reason.test(notReady.join("\n"));
  });
}

async function load(port: number, lines: string): Promise<void> {
  const server = ["--connect", `127.0.0.1:${port}`];
  const loaded = await runCountd(["load", ...server], { stdin: lines });
  assertEquals(loaded.code, 0, loaded.stderr);
}

/** Loads while `body` runs. If the load fails, the error says why the server ended it. */
async function whileLoading(
  server: CountdProcess,
  { port, lines }: { readonly port: number; readonly lines: string },
  body: () => Promise<void>,
): Promise<void> {
  const loading = load(port, lines).catch((error) => {
    throw new Error(`${error.message}\nThe server said:\n${server.stderrLines.join("\n")}`);
  });
  await Promise.all([loading, body()]);
}

Deno.test("A worker or a reader that waits for its data directory is not ready, and says so", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const own = ["--data", data, "--metrics-port", "0"];
    await using worker = startCountd(["worker", ...own]);
    await worker.stderrLine(/worker ready/);
    await using reader = startCountd(["read", "--port", "0", ...own]);
    for (const daemon of [worker, reader]) await isNotReady(daemon, /waiting for a data directory/);
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    await writer.listening();
    for (const daemon of [worker, reader]) await isReady(daemon);
    await waitUntil("a status without a reason", async () => {
      return (await statusOf(data)).notReady.length === 0;
    });
    for (const daemon of [worker, reader, writer]) assertEquals(await daemon.stop(), 0);
    assertEquals(await statusOf(data).then(({ ready, notReady }) => [ready, ...notReady]), [
      false,
      "no daemon runs",
    ]);
  });
});

Deno.test("A server is not ready while its worker has a keyspace in quarantine", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using server = startCountd(["serve", "--data", data, "--seal-after", "50ms", ...ports]);
    await isReady(server);
    const { port } = await server.listening("write");
    Deno.writeTextFileSync(`${data}/keyspaces/a`, "not a keyspace");
    await load(port, "a\tk\t1\n");
    await isNotReady(server, /^keyspace a is in quarantine: /m);
    await statusSays(data, /^keyspace a is in quarantine: /m);
    const { text } = await runCountd(["status", "--data", data]);
    assertMatch(text, /^ready\tno$/m);
    assertMatch(text, /^not ready\tkeyspace a is in quarantine: /m);
    assertEquals(await server.stop(), 0);
  });
});

/** Ends the worker of a server again and again: each death makes the pause before the next start longer. */
async function endWorkers(
  server: CountdProcess,
  isTold: (reason: string) => Promise<boolean>,
): Promise<void> {
  await waitUntil("a pause without a worker", async () => {
    const path = `/proc/${server.pid}/task/${server.pid}/children`;
    for (const pid of Deno.readTextFileSync(path).split(" ").filter((each) => each !== "")) {
      Deno.kill(Number(pid), "SIGKILL");
    }
    return await isTold("the worker does not run: it died of SIGKILL");
  });
}

Deno.test("A server whose worker does not run is not ready until one does", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using server = startCountd(["serve", "--data", `${directory}/data`, ...ports]);
    await isReady(server);
    await endWorkers(server, async (reason) => (await readiness(server)).includes(reason));
    await isReady(server);
    assertEquals(await server.stop(), 0);
  });
});

Deno.test("The status tells of a worker that does not run, also without a port for metrics", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const own = ["--data", data, "--write-port", "0", "--read-port", "0"];
    await using server = startCountd(["serve", ...own]);
    await server.listening("write");
    await waitUntil("readiness", async () => (await statusOf(data)).ready);
    await endWorkers(server, async (reason) => {
      return (await statusOf(data)).notReady.join("\n").includes(reason);
    });
    await waitUntil("readiness", async () => (await statusOf(data)).ready);
    assertEquals(await server.stop(), 0);
  });
});

Deno.test("A writer without a worker is not ready once its backlog is full", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const sizes = ["--log-size", "64KiB", "--backlog", "128KiB"];
    await using writer = startCountd(
      ["write", "--data", data, "--port", "0", "--metrics-port", "0", ...sizes],
    );
    await isReady(writer);
    const { port } = await writer.listening();
    const lines = Array.from({ length: 9000 }, (_, at) => `visits\tkey ${at}\t1\n`).join("");
    const loading = load(port, lines);
    await isNotReady(writer, /^backlog full: /m);
    await using worker = startCountd(["worker", "--data", data]);
    await loading;
    await isReady(writer);
    assertEquals(await worker.stop(), 0);
    assertEquals(await writer.stop(), 0);
  });
});

Deno.test("A reader that cannot answer now is not ready until it can", async () => {
  await withTemporaryDirectory(async (directory) => {
    giveToOrdinaryUser(directory);
    const data = `${directory}/data`;
    const as = "ordinary";
    {
      const write = ["write", "--data", data, "--port", "0", "--logs", "2"];
      await using writer = startCountd(write, { as });
      await load((await writer.listening()).port, "a\tk\t1\n");
      assertEquals(await writer.stop(), 0);
    }
    // It holds the sealed log, whose mode forbids reading, and has not widened the mode yet.
    await using worker = startCountd(["worker", "--once", "--data", data], {
      as,
      env: { COUNTD_FAULT: "stop@claim.1.after" },
    });
    await waitUntil("a log that is held", () => {
      return /^State:\s+T/m.test(Deno.readTextFileSync(`/proc/${worker.pid}/status`));
    });
    const read = ["read", "--data", data, "--port", "0", "--metrics-port", "0"];
    await using reader = startCountd(read, { as });
    const { port } = await reader.listening();
    await isNotReady(reader, /^Cannot open commit log 0000000000: /m);
    await statusSays(data, /^Cannot open commit log 0000000000: /m);
    const get = ["get", "a", "k", "--connect", `127.0.0.1:${port}`];
    assertEquals((await runCountd(get)).code, 75);
    worker.signal("SIGCONT");
    assertEquals((await worker.ended()).code, 0);
    assertEquals((await runCountd(get)).text, "1\n");
    // An answer that was refused counts for some seconds.
    await isReady(reader);
    assertEquals(await reader.stop(), 0);
  });
});

Deno.test("A writer and a database on a full disk are not ready until there is space", async () => {
  if (!runningAsRoot()) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (place) => {
    const mounted = await runProgram(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]);
    if (mounted.code !== 0) return console.log("not run: needs to mount a tmpfs");
    try {
      const data = `${place}/data`;
      await using database = startCountd(["db", "--data", data, "--port", "0", "--metrics-port=0"]);
      const { port: databasePort } = await database.listening();
      const sizes = ["--log-size", "64KiB", "--logs", "2"];
      await using writer = startCountd(
        ["write", "--data", data, "--port", "0", "--metrics-port", "0", ...sizes],
      );
      const { port } = await writer.listening();
      for (const daemon of [writer, database]) await isReady(daemon);
      const chunk = new Uint8Array(4096);
      try {
        while (true) Deno.writeFileSync(`${place}/filler`, chunk, { append: true });
      } catch (error) {
        assertMatch(String(error), /No space left/);
      }
      const set = async (value: string) => {
        const url = `http://127.0.0.1:${databasePort}/set/k`;
        const response = await fetch(url, { method: "POST", body: value });
        await response.body?.cancel();
        return response.status;
      };
      assertEquals(await set("x".repeat(200_000)), 507);
      await isNotReady(database, /^disk full: /m);
      const lines = Array.from({ length: 9000 }, (_, at) => `visits\tkey ${at}\t1\n`).join("");
      await whileLoading(writer, { port, lines }, async () => {
        await isNotReady(writer, /^disk full: /m);
        await statusSays(data, /^disk full: /m);
        Deno.removeSync(`${place}/filler`);
      });
      assertEquals(await set("y"), 200);
      for (const daemon of [writer, database]) await isReady(daemon);
      assertEquals([await database.stop(), await writer.stop()], [0, 0]);
    } finally {
      await runProgram(["umount", "-l", place]);
    }
  });
});

Deno.test("A daemon whose report was removed makes it again", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    await writer.listening();
    await waitUntil("a report", async () => (await statusOf(data)).ready);
    Deno.removeSync(`${data}/run`, { recursive: true });
    await waitUntil("the report", async () => (await statusOf(data)).ready);
    assertEquals(await writer.stop(), 0);
  });
});

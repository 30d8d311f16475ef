/** A data directory, or a part of it, that is removed, moved or replaced while daemons have it open. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type CountdProcess, runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil, within } from "../support/wait.ts";
import { increment, sendAll } from "./plain_messages.ts";

/** Readiness may be as late as this; the rest is for a slow machine. */
const READINESS_MS = 2000 + 2000;

const ports = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];

function startServe(data: string, ...more: string[]): CountdProcess {
  return startCountd(["serve", "--data", data, "--log-size", "64KiB", ...ports, ...more]);
}

/** Returns the status of `/readyz` and its body; status 0 if nothing listens any more. */
async function readiness(daemon: CountdProcess): Promise<{ status: number; text: string }> {
  const [, address] = await daemon.stderrLine(/^metrics on (\S+)$/);
  try {
    const response = await fetch(`http://${address}/readyz`);
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

async function isReady(daemon: CountdProcess): Promise<void> {
  await waitUntil("readiness", async () => (await readiness(daemon)).status === 200);
}

/** Sends increments one by one until the server ends, and adds the times of the answers. */
async function answersUntilEnd(port: number, times: number[]): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const answer = new Uint8Array(3);
  try {
    while (true) {
      await sendAll(connection, increment("visits", "/", 1n));
      for (let read = 0; read < answer.length;) {
        const more = await connection.read(answer.subarray(read));
        if (more === null) return;
        read += more;
      }
      assertEquals(new TextDecoder().decode(answer), "WIN");
      times.push(performance.now());
    }
  } catch (error) {
    // The server is gone.
    assert(!(error instanceof TypeError), String(error));
  }
}

/** Removes a directory in which daemons still make and remove names. */
async function remove(path: string): Promise<void> {
  await waitUntil("an empty place", () => {
    try {
      Deno.removeSync(path, { recursive: true });
      return true;
    } catch (error) {
      return error instanceof Deno.errors.NotFound;
    }
  });
}

async function endsWith6(daemon: CountdProcess, message: RegExp): Promise<void> {
  const { code, stderr } = await daemon.ended();
  assertEquals(code, 6, stderr);
  assertMatch(stderr, message);
}

Deno.test("A server whose data directory is removed acknowledges nothing more, is not ready, and exits with 6", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using server = startServe(data, "--ack", "--sync", "always");
    await isReady(server);
    const { port } = await server.listening("write");
    const times: number[] = [];
    const ended = answersUntilEnd(port, times);
    await waitUntil("answers", () => times.length > 10);
    const removedMs = performance.now();
    await remove(data);
    const goneMs = performance.now();
    await waitUntil("the loss of readiness", async () => (await readiness(server)).status !== 200);
    assert(performance.now() - removedMs < READINESS_MS);
    await within("the end of the answers", ended);
    const last = times.at(-1)!;
    // An answer that was on its way is read a moment later.
    assert(last < goneMs + 200, `answered ${last - goneMs} ms after the removal`);
    await endsWith6(server, /is gone|does not lead to the log/);
  });
});

for (
  const [what, change] of [
    ["moved", (data: string) => Deno.renameSync(data, `${data}.moved`)],
    ["replaced", (data: string) => {
      Deno.renameSync(data, `${data}.old`);
      Deno.mkdirSync(data);
    }],
  ] as const
) {
  Deno.test(`Writer, worker and reader whose data directory is ${what} exit with 6, also idle`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      const own = ["--data", data, "--metrics-port", "0"];
      await using writer = startCountd(["write", "--port", "0", ...own]);
      await writer.listening();
      await using worker = startCountd(["worker", ...own]);
      await worker.stderrLine(/worker ready/);
      await using waiting = startCountd(["worker", ...own]);
      await waiting.stderrLine(/worker ready/);
      await using reader = startCountd(["read", "--port", "0", ...own]);
      await reader.listening();
      const daemons = [writer, worker, waiting, reader];
      for (const daemon of daemons) await isReady(daemon);
      const startMs = performance.now();
      change(data);
      for (const daemon of daemons) {
        await waitUntil("the loss of readiness", async () => {
          return (await readiness(daemon)).status !== 200;
        });
        assert(performance.now() - startMs < READINESS_MS);
      }
      for (const daemon of daemons) await endsWith6(daemon, /is gone|does not lead|was removed/);
    });
  });
}

Deno.test("Daemons whose control file is replaced exit with 6, because its locks exclude no process", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using server = startServe(data);
    await isReady(server);
    Deno.copyFileSync(`${data}/control`, `${directory}/copy`);
    Deno.renameSync(`${directory}/copy`, `${data}/control`);
    await endsWith6(server, /control was removed or replaced/);
  });
});

Deno.test("A worker whose logs are removed exits with 6", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    {
      await using writer = startCountd(["write", "--data", data, "--port", "0"]);
      await writer.listening();
      assertEquals(await writer.stop(), 0);
    }
    await using worker = startCountd(["worker", "--data", data]);
    await worker.stderrLine(/worker ready/);
    await remove(`${data}/logs`);
    // Some of the logs go before the directory.
    await endsWith6(worker, /logs(\/\d{10})? is gone/);
  });
});

Deno.test("A worker without a supervisor makes a removed directory of keyspaces again", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    const { port } = await writer.listening();
    await using worker = startCountd(["worker", "--data", data]);
    await worker.stderrLine(/worker ready/);
    Deno.removeSync(`${data}/keyspaces`, { recursive: true });
    const stdin = "visits\t/\t3\n";
    const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin });
    assertEquals(loaded.code, 0, loaded.stderr);
    assertEquals(await writer.stop(), 0);
    await worker.stderrLine(/event=folded logs=1/);
    assertEquals(await worker.stop(), 0);
    const get = await runCountd(["get", "visits", "/", "--data", data, "--stale"]);
    assertEquals(get.text, "3\n", get.stderr);
  });
});

Deno.test("An idle reader answers from a keyspace file, and from a directory of keyspaces, that was put in place", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const count = async (value: number) => {
      await using writer = startCountd(["write", "--data", data, "--port", "0"]);
      const { port } = await writer.listening();
      const sent = ["incr", "visits", "/", String(value), "--connect", `127.0.0.1:${port}`];
      assertEquals((await runCountd(sent)).code, 0);
      assertEquals(await writer.stop(), 0);
      assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    };
    await count(5);
    const file = `${data}/keyspaces/visits`;
    Deno.copyFileSync(file, `${directory}/five`);
    await count(2);
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const { port } = await reader.listening();
    const ask = async () => {
      const get = ["get", "visits", "/", "--connect", `127.0.0.1:${port}`];
      return (await runCountd(get)).text;
    };
    assertEquals(await ask(), "7\n");
    Deno.copyFileSync(file, `${directory}/seven`);
    Deno.renameSync(`${directory}/five`, file);
    await waitUntil("the file that has the name", async () => await ask() === "5\n");
    Deno.mkdirSync(`${directory}/keyspaces`);
    Deno.renameSync(`${directory}/seven`, `${directory}/keyspaces/visits`);
    Deno.renameSync(`${data}/keyspaces`, `${directory}/old`);
    Deno.renameSync(`${directory}/keyspaces`, `${data}/keyspaces`);
    await waitUntil("the directory that has the name", async () => await ask() === "7\n");
    assertEquals(await reader.stop(), 0);
  });
});

Deno.test("A reader follows the name of a log, and answers nothing while a log that held increments is gone", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0", "--sync", "always"]);
    const write = await writer.listening();
    const incr = async (value: number) => {
      const server = ["--connect", `127.0.0.1:${write.port}`];
      assertEquals((await runCountd(["incr", "visits", "/", String(value), ...server])).code, 0);
    };
    await incr(5);
    await using reader = startCountd([
      "read",
      "--data",
      data,
      "--port",
      "0",
      "--metrics-port",
      "0",
    ]);
    const { port } = await reader.listening();
    const ask = async () => {
      const get = ["get", "visits", "/", "--connect", `127.0.0.1:${port}`];
      const { code, text } = await runCountd(get);
      return code === 0 ? text : `exit ${code}`;
    };
    assertEquals(await ask(), "5\n");
    await writer.kill();
    const names = ["0000000000", "lock-0000000000"].map((name) => `${data}/logs/${name}`);
    Deno.copyFileSync(names[0]!, `${directory}/older`);
    for (const name of names) Deno.renameSync(name, `${directory}/${name.split("/").at(-1)}`);
    await waitUntil("the loss", async () => await ask() === "exit 6");
    const { status, text } = await readiness(reader);
    assertEquals(status, 503);
    assertMatch(text, /^not ready\n.*logs\/0000000000 (was removed|is missing)/);
    Deno.renameSync(`${directory}/older`, names[0]!);
    await waitUntil("the log that has the name", async () => await ask() === "5\n");
    await isReady(reader);
    assertEquals(await reader.stop(), 0);
  });
});

Deno.test("A prompt whose data directory is replaced says so, and then opens the new one", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using shell = startCountd(["shell", "--keep-going", "--data", data]);
    await shell.writeStdin("incr visits / 5; top visits; use notes; set a old; keys\n");
    await shell.stdoutLine(/^5\b/);
    await shell.stdoutLine(/^a$/);
    Deno.renameSync(data, `${directory}/old`);
    await waitUntil("the loss", async () => {
      await shell.writeStdin("incr visits / 3\n");
      return shell.stderrLines.some((line) => /is gone|does not lead/.test(line));
    }, { everyMs: 200 });
    const before = shell.stdoutLines.length;
    await shell.writeStdin("incr other / 1\nset a new\nkeys\n");
    await waitUntil("the new counter", async () => {
      await shell.writeStdin("top other\n");
      return shell.stdoutLines.slice(before).some((line) => /^1\b/.test(line));
    }, { everyMs: 200 });
    await shell.stdoutLine(/^a$/, { from: before });
    await shell.ended();
    const value = await runCountd(["kv", "get", "a", "--table", "notes", "--data", data]);
    assertEquals(value.text.trim(), "new", value.stderr);
  });
});

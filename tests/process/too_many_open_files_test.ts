/**
 * A daemon that runs out of descriptors: by peers, through a port that speaks HTTP, or because the limit is low
 * and there are many keyspaces. It waits or does with fewer, and goes on.
 */

import { assertEquals } from "@std/assert";
import { FullCount } from "../support/full_count.ts";
import {
  countdCommand,
  runCountd,
  runProgram,
  startCountd,
  startProgram,
} from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

const hostname = "127.0.0.1";
/** More descriptors than a daemon needs for itself, fewer than the peers open. */
const DESCRIPTORS = 100;
const PEERS = 200;

async function statusOf(port: number, path: string): Promise<number | null> {
  try {
    const response = await fetch(`http://${hostname}:${port}${path}`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(5000),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return null;
  }
}

/** Runs a daemon on `data` whose port on the line `listening` speaks HTTP. */
async function takeDescriptors(
  args: readonly string[],
  { data, listening, path }: {
    readonly data: string;
    readonly listening: RegExp;
    readonly path: string;
  },
): Promise<void> {
  const limited = ["sh", "-c", `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`, ...countdCommand(args)];
  await using daemon = startProgram(limited);
  await daemon.stderrLine(/^listening on/);
  const port = Number((await daemon.stderrLine(listening))[1]);
  const before = await statusOf(port, path);
  const peers: Deno.TcpConn[] = [];
  for (let peer = 0; peer < PEERS; peer++) {
    const connection = await Deno.connect({ hostname, port }).catch(() => null);
    if (connection !== null) peers.push(connection);
  }
  for (const peer of peers) peer.close();
  // A port that is opened again is closed for a moment, which a client sees.
  const after = await waitUntil("an answer", async () => {
    return daemon.over ? "ended" : await statusOf(port, path);
  });
  assertEquals(after, before);
  assertEquals(await daemon.stop(), 0);
  const { code, text } = await runCountd(["check", "--data", data]);
  assertEquals(code, 0, text);
}

Deno.test("The port of db answers again when peers release its descriptors", async () => {
  await withTemporaryDirectory(async (data) => {
    await takeDescriptors(["db", "--data", data, "--port", "0"], {
      data,
      listening: /^listening on [^:]*:(\d+)/,
      path: "/get/no-such-key",
    });
  });
});

Deno.test("The metrics port answers again when peers release its descriptors, and the writer survives", async () => {
  await withTemporaryDirectory(async (data) => {
    await takeDescriptors(["write", "--data", data, "--port", "0", "--metrics-port", "0"], {
      data,
      listening: /^metrics on [^:]*:(\d+)/,
      path: "/healthz",
    });
  });
});

const manyKeyspaces = new FullCount("more keyspaces than descriptors");

Deno.test("Many more keyspaces than a process may open are folded, the first time and again", async () => {
  // Story: two bounds of 128 open files added up to more than the limit. One group of keyspaces was folded, and
  // then folding waited for a disk that was not full, for ever.
  for (const keyspaces of manyKeyspaces.sizes(300, 2000)) await foldMany(keyspaces);
});

async function foldMany(keyspaces: number): Promise<void> {
  const descriptors = keyspaces > 300 ? 256 : 200;
  await withTemporaryDirectory(async (data) => {
    for (let round = 1; round <= 2; round++) {
      {
        await using writer = startCountd(["write", "--data", data, "--port", "0"]);
        const { port } = await writer.listening();
        const stdin = Array.from({ length: keyspaces }, (_, at) => `ks${at}\tk\t1\n`).join("");
        const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin });
        assertEquals(loaded.code, 0, loaded.stderr);
        assertEquals(await writer.stop(), 0);
      }
      const words = countdCommand(["worker", "--once", "--data", data]);
      const limited = ["sh", "-c", `ulimit -n ${descriptors}; exec "$0" "$@"`, ...words];
      const { code, stderr } = await runProgram(limited, { deadlineMs: 120_000 });
      assertEquals(code, 0, stderr);
      const last = await runCountd(["get", `ks${keyspaces - 1}`, "k", "--data", data]);
      assertEquals(last.text, `${round}\n`);
    }
    const { code, text } = await runCountd(["check", "--data", data]);
    assertEquals(code, 0, text);
  });
}

/** A daemon survives peers that use up its descriptors through a port that speaks HTTP. */

import { assertEquals } from "@std/assert";
import { countdCommand, runCountd, startProgram } from "../support/process.ts";
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

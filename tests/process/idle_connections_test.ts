/**
 * Connections that do nothing keep no place from a new client, and every port has a bound. Story: idle ones took
 * all places for ever, and the ports that speak HTTP had no bound at all.
 */

import { assert, assertEquals } from "@std/assert";
import { type CountdProcess, startCountd } from "../support/process.ts";
import { checkData } from "../support/check_data.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil, within } from "../support/wait.ts";
import { askPage, increment, pageRequest, sendIncrements } from "./plain_messages.ts";

const hostname = "127.0.0.1";
/** Places of a metrics port and of a database port. */
const METRICS_PLACES = 64;
const DATABASE_PLACES = 1024;
/** Connections beyond the places. */
const EXCESS = 10;

async function withServe(
  options: readonly string[],
  body: (ports: { write: number; read: number; metrics: number; db: number }) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const ports = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];
    await using serve = startCountd(["serve", "--data", data, ...ports, ...options]);
    await using db = startCountd(["db", "--data", data, "--port", "0"]);
    await body({
      write: (await serve.listening("write")).port,
      read: (await serve.listening("read")).port,
      metrics: await metricsPort(serve),
      db: (await db.listening()).port,
    });
    assertEquals([await db.stop(), await serve.stop()], [0, 0]);
    checkData(data);
  });
}

async function metricsPort(serve: CountdProcess): Promise<number> {
  return Number((await serve.stderrLine(/metrics on \S+:(\d+)/))[1]);
}

/** Connections that send nothing. `ended` counts those that the server has ended. */
async function openIdle(port: number, count: number) {
  const connections: Deno.TcpConn[] = [];
  const idle = {
    ended: 0,
    [Symbol.dispose]: () => connections.forEach((connection) => connection.close()),
  };
  for (let number = 0; number < count; number++) {
    const connection = await Deno.connect({ hostname, port });
    connections.push(connection);
    connection.read(new Uint8Array(1)).then(() => idle.ended++, () => idle.ended++);
  }
  return idle;
}

Deno.test("Idle connections that fill a port give their places to clients that ask", async () => {
  const places = 4;
  await withServe(["--max-connections", String(places)], async ({ write, read }) => {
    using idleWriters = await openIdle(write, places);
    using idleReaders = await openIdle(read, places);
    // So long they have to send their first message.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assertEquals([idleWriters.ended, idleReaders.ended], [0, 0]);
    for (let client = 1; client <= places; client++) {
      const sent = within("the totals", sendIncrements(write, [increment("pages", "/", 1n)]));
      assertEquals(await sent, 1n, `client ${client}`);
    }
    const readers: Deno.TcpConn[] = [];
    try {
      for (let client = 1; client <= places; client++) {
        const connection = await Deno.connect({ hostname, port: read });
        readers.push(connection);
        const page = within("a page", askPage(connection, pageRequest("pages", 1)));
        assertEquals(await page, { total: 1n, rows: 1n }, `client ${client}`);
      }
      // A connection that has asked, and not long ago, keeps its place.
      using late = await Deno.connect({ hostname, port: read });
      assertEquals(await late.read(new Uint8Array(1)).catch(() => null), null);
      assertEquals((await askPage(readers[0]!, pageRequest("pages", 1))).rows, 1n);
    } finally {
      for (const connection of readers) connection.close();
    }
    assertEquals([idleWriters.ended >= 1, idleReaders.ended], [true, places]);
  });
});

Deno.test("The ports that speak HTTP end connections beyond their places, and answer beside idle ones", async () => {
  await withServe([], async ({ metrics, db }) => {
    for (
      const [port, places, path] of [
        [metrics, METRICS_PLACES, "/healthz"],
        [db, DATABASE_PLACES, "/status"],
      ] as const
    ) {
      using idle = await openIdle(port, places + EXCESS);
      await waitUntil("the end of the excess", () => idle.ended >= EXCESS);
      // The new client takes a place that an idle one has to give up.
      const client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
      try {
        for (let request = 0; request < 3; request++) {
          const response = await fetch(`http://${hostname}:${port}${path}`, { client });
          await response.body?.cancel();
          assertEquals(response.status, 200);
          await new Promise((resolve) => setTimeout(resolve, 1200));
        }
      } finally {
        client.close();
      }
      assert(idle.ended <= EXCESS + 5, `${idle.ended} of ${places + EXCESS} were ended`);
    }
  });
});

/** The connections of an HTTP server: how many, and for how long they may do nothing. */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { noEvents } from "../../src/base/events.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { connectionsOf } from "../../ffi/mod.ts";
import { HttpPeers } from "../../src/net/http_peers.ts";
import { LoopTurn, serveHttp } from "../../src/net/mod.ts";
import { TcpMetrics } from "../../src/net/tcp_metrics.ts";
import { clockAt } from "../support/fixed_clock.ts";
import { waitUntil, within } from "../support/wait.ts";

const hostname = "127.0.0.1";
const GET = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");

interface Tried {
  readonly port: number;
  readonly metrics: Metrics;
  readonly said: string[];
  /** Moves the clock. */
  advance(ms: number): void;
}

async function withHttpServer(
  maxConnections: number,
  body: (tried: Tried) => Promise<void>,
  answer = (_request: Request): Response | Promise<Response> => new Response("hello"),
): Promise<void> {
  let moved = 0;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + moved };
  const metrics = new Metrics();
  const said: string[] = [];
  const server = serveHttp({
    hostname,
    port: 0,
    maxConnections,
    metrics,
    clock,
    events: { report: (_level, event) => void said.push(event) },
    handler: answer,
  });
  try {
    const { port } = server.address;
    await body({ port, metrics, said, advance: (ms) => void (moved += ms) });
  } finally {
    await within("the stop", server.stop());
  }
}

const connect = (port: number) => Deno.connect({ hostname, port });

async function get(connection: Deno.TcpConn): Promise<void> {
  await connection.write(GET);
  const buffer = new Uint8Array(1000);
  const count = await within("an answer", connection.read(buffer));
  assert(new TextDecoder().decode(buffer.subarray(0, count ?? 0)).startsWith("HTTP/1.1 200"));
}

/** True if the other side ends the connection within a few seconds. */
async function isEnded(connection: Deno.TcpConn): Promise<boolean> {
  const ended = connection.read(new Uint8Array(1)).then((count) => count === null, () => true);
  return await Promise.race([ended, systemClock.sleep(3000).then(() => false)]);
}

Deno.test("Of too many HTTP connections those that have asked nothing are closed", async () => {
  await withHttpServer(3, async ({ port, metrics }) => {
    const all: Deno.TcpConn[] = [];
    try {
      for (let index = 0; index < 6; index++) all.push(await connect(port));
      await get(all[5]!);
      const overLimit = metrics.counter("countd_connections_total", "over-limit");
      await waitUntil("three to be closed", () => overLimit.value >= 3);
      assertEquals(overLimit.value, 3);
      await get(all[5]!);
      const ends = await Promise.all(all.slice(0, 5).map(isEnded));
      assertEquals(ends.filter((ended) => ended).length, 3);
    } finally {
      for (const connection of all) connection.close();
    }
  });
});

Deno.test("The HTTP connection that was idle longest gives its place to a new one", async () => {
  await withHttpServer(2, async ({ port, metrics, advance }) => {
    using first = await connect(port);
    await get(first);
    await systemClock.sleep(20);
    using second = await connect(port);
    await get(second);
    await systemClock.sleep(20);
    // What counts is the last request, not when a connection was opened.
    await get(first);
    const idle = metrics.counter("countd_connections_total", "idle");
    await systemClock.sleep(1200);
    advance(61_000);
    // Idle connections stay as long as there is a place.
    await systemClock.sleep(1200);
    assertEquals(idle.value, 0);
    using third = await connect(port);
    await get(third);
    assertEquals(await isEnded(second), true);
    assertEquals(idle.value, 1);
    await get(first);
    await get(third);
  });
});

Deno.test("A connection with a request under way is closed only if all others have one too", async () => {
  const asked: ((response: Response) => void)[] = [];
  let isSlow = false;
  await withHttpServer(2, async ({ port, metrics }) => {
    const overLimit = metrics.counter("countd_connections_total", "over-limit");
    using idle = await connect(port);
    await get(idle);
    using busy = await connect(port);
    isSlow = true;
    const [first, newest] = [get(busy), connect(port)];
    using last = await newest;
    const second = get(last);
    await waitUntil("both requests", () => asked.length === 2);
    assertEquals(await isEnded(idle), true);
    assertEquals(overLimit.value, 1);
    // A third request: the newest connection goes.
    using more = await connect(port);
    const third = get(more).then(() => "answered", () => "ended");
    await waitUntil("the third", () => asked.length === 3);
    await waitUntil("its end", () => overLimit.value === 2);
    for (const answer of asked) answer(new Response("late"));
    await Promise.all([first, second]);
    assertEquals(await third, "ended");
  }, () => {
    if (!isSlow) return new Response("hello");
    return new Promise((resolve) => void asked.push(resolve));
  });
});

Deno.test("HTTP connections without a whole request are closed after half a minute, whatever they send", async () => {
  await withHttpServer(10, async ({ port, metrics, said, advance }) => {
    using nothing = await connect(port);
    using half = await connect(port);
    await half.write(GET.subarray(0, 20));
    using good = await connect(port);
    await get(good);
    await systemClock.sleep(1200);
    advance(31_000);
    assertEquals(await Promise.all([isEnded(nothing), isEnded(half)]), [true, true]);
    assertEquals(metrics.counter("countd_connections_total", "silent").value, 2);
    assert(said.includes("connection closed: no whole message arrived"), said.join());
    await get(good);
  });
});

Deno.test("An HTTP peer that takes no answer is closed after half a minute", async () => {
  const long = new Uint8Array(32 * 2 ** 20);
  await withHttpServer(10, async ({ port, metrics, advance }) => {
    using stuck = await connect(port);
    await stuck.write(GET);
    const stalled = metrics.counter("countd_connections_total", "stalled");
    await systemClock.sleep(2500);
    advance(15_000);
    await systemClock.sleep(1200);
    assertEquals(stalled.value, 0);
    advance(16_000);
    await waitUntil("the end", () => stalled.value === 1);
  }, () => new Response(long));
});

Deno.test("An HTTP peer that asks for the same again and again stays, although an answer waits at each sweep", async () => {
  // Story: bytes that wait, and their number, looked like an answer that is not taken. A peer acknowledges an
  // answer late, with its next request, and was closed after 31 sweeps that found answers of one length.
  const clock = clockAt(0);
  const metrics = new Metrics();
  using turn = new LoopTurn({ clock: systemClock });
  const peers = new HttpPeers(
    { clock, events: noEvents, metrics: new TcpMetrics(metrics), turn },
    10,
  );
  const handler: Deno.ServeHandler<Deno.NetAddr> = (_request, { remoteAddr, completed }) => {
    peers.request(remoteAddr, completed);
    return new Response("hello");
  };
  await using server = Deno.serve({ hostname, port: 0, onListen: () => {}, handler });
  const { port } = server.addr;
  using good = await connect(port);
  const lengths = new Set<number>();
  let sweeps = 0;
  await waitUntil("40 sweeps with an answer that waits", async () => {
    await get(good);
    const [connection] = connectionsOf(port).filter(({ unsentBytes }) => unsentBytes > 0);
    if (connection === undefined) return false;
    lengths.add(connection.unsentBytes);
    peers.sweep(port);
    clock.advance(1000);
    return ++sweeps === 40;
  });
  assertEquals([lengths.size, metrics.counter("countd_connections_total", "stalled").value], [
    1,
    0,
  ]);
  await get(good);
});

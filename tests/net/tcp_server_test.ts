/** The server that knows sockets alone: what ends a connection, and what ends the server. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "node:net";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { noEvents } from "../../src/base/events.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { RareEvents } from "../../src/base/rare_events.ts";
import { listenTcp, LoopTurn, type TcpConnection, TcpServer } from "../../src/net/mod.ts";
import { waitUntil } from "../support/wait.ts";

const hostname = "127.0.0.1";

async function withTcpServer(
  serve: (connection: TcpConnection) => Promise<void>,
  body: (server: TcpServer, metrics: Metrics) => Promise<void>,
  clock: Clock = systemClock,
  turn?: LoopTurn,
): Promise<void> {
  const metrics = new Metrics();
  const server = new TcpServer(
    listenTcp({ hostname, port: 0 }),
    { port: "test", maxConnections: 10, serve },
    { clock, events: noEvents, metrics, turn },
  );
  try {
    await body(server, metrics);
  } finally {
    await server.stop();
    await server.ended();
  }
}

Deno.test("A peer that resets its connection ends that connection, and not the server", async () => {
  const counts: (number | null)[] = [];
  await withTcpServer(async (connection) => {
    const target = new Uint8Array(10);
    while (true) {
      const count = await connection.read(target);
      counts.push(count);
      if (count === null) return await connection.end();
    }
  }, async (server, metrics) => {
    const { promise: isReset, resolve } = Promise.withResolvers<void>();
    const socket = connect(server.address.port, hostname, () => {
      socket.write("four", () => {
        waitUntil("the bytes", () => counts.length === 1).then(() => socket.resetAndDestroy());
      });
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    await isReset;
    await waitUntil("the end", () => server.connectionCount === 0);
    assertEquals(counts, [4, null]);
    assertEquals(metrics.gauge("countd_connections").value, 0);
    const running = systemClock.sleep(1).then(() => "running");
    assertEquals(await Promise.race([server.failed, running]), "running");
  });
});

Deno.test("An error that is none of the socket ends the server and its connection", async () => {
  await withTcpServer(async (connection) => {
    await connection.read(new Uint8Array(10));
    throw new Error("a bug");
  }, async (server) => {
    using peer = await Deno.connect({ hostname, port: server.address.port });
    await peer.write(new Uint8Array(4));
    await assertRejects(() => server.failed, Error, "a bug");
    assertEquals(await peer.read(new Uint8Array(1)), null);
  });
});

Deno.test("A connection says since when its peer takes no bytes, until it takes them", async () => {
  let served: TcpConnection | null = null;
  const bytes = new Uint8Array(32 * 2 ** 20);
  await withTcpServer(async (connection) => {
    served = connection;
    assert(await connection.send(bytes));
    await connection.end();
  }, async (server) => {
    const beforeMs = systemClock.nowMs();
    using peer = await Deno.connect({ hostname, port: server.address.port });
    const sinceMs = () => served?.writingSinceMs ?? null;
    await waitUntil("the write", () => sinceMs() !== null);
    assert(sinceMs()! >= beforeMs && sinceMs()! <= systemClock.nowMs());
    let received = 0;
    const buffer = new Uint8Array(2 ** 20);
    for (let count = await peer.read(buffer); count !== null; count = await peer.read(buffer)) {
      received += count;
    }
    assertEquals([received, sinceMs()], [bytes.length, null]);
    await peer.closeWrite();
    await waitUntil("the end", () => server.connectionCount === 0);
  });
});

Deno.test("A peer that takes a long answer slowly stays, and is cut off when it takes no more", async () => {
  // Story: a write goes on when a MiB or more of what the system holds was sent. A peer that took less than
  // that in half a minute was cut off.
  let movedMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + movedMs };
  const bytes = new Uint8Array(32 * 2 ** 20);
  let served: TcpConnection | null = null;
  await withTcpServer(async (connection) => {
    served = connection;
    connection.hasSpoken = true;
    await connection.send(bytes);
  }, async (server, metrics) => {
    const stalled = metrics.counter("countd_connections_total", "stalled");
    using peer = await Deno.connect({ hostname, port: server.address.port });
    await waitUntil("the write", () => served?.writingSinceMs !== null);
    // Small reads: after large ones the system of the peer would take much more.
    const some = new Uint8Array(8 * 1024);
    for (let sweep = 0; sweep < 5; sweep++) {
      await systemClock.sleep(1100);
      for (let read = 0; read < 20; read++) {
        assert(await peer.read(some) !== null);
        await systemClock.sleep(2);
      }
      movedMs += 10_000;
    }
    assertEquals([stalled.value, server.connectionCount], [0, 1]);
    await systemClock.sleep(1100);
    movedMs += 31_000;
    await waitUntil("the end", () => server.connectionCount === 0);
    assertEquals(stalled.value, 1);
  }, clock);
});

Deno.test("A connection that drains in a read is closed at once, and the read gives the end", async () => {
  const ends: (number | null)[] = [];
  await withTcpServer(async (connection) => {
    ends.push(await connection.read(new Uint8Array(10)));
    await connection.end();
  }, async (server) => {
    using peer = await Deno.connect({ hostname, port: server.address.port });
    await waitUntil("the connection", () => server.connectionCount === 1);
    await server.stop();
    await server.ended();
    assertEquals([ends, server.connectionCount], [[null], 0]);
    assertEquals(await peer.read(new Uint8Array(1)), null);
  });
});

/** Reads until the end; the first byte is a whole message. */
async function readAll(connection: TcpConnection): Promise<void> {
  while (await connection.read(new Uint8Array(10)) !== null) connection.hasSpoken = true;
  await connection.end();
}

Deno.test("A read that waited gets time of the turn in which its bytes came, also after a full one", async () => {
  using turn = new LoopTurn({ clock: systemClock });
  const turns: number[] = [];
  await withTcpServer(
    async (connection) => {
      const target = new Uint8Array(10);
      while (await connection.read(target) !== null) turns.push(turn.number);
      await connection.end();
    },
    async (server) => {
      using peer = await Deno.connect({ hostname, port: server.address.port });
      await peer.write(new Uint8Array(10));
      await waitUntil("the full read", () => turns.length === 1);
      turn.spend(15, 0);
      await turn.next({ isQuick: true });
      // Others have all that is left of this turn.
      while (turn.promise(1));
      turn.spend(15, 15);
      const { number } = turn;
      await peer.write(new Uint8Array(4));
      await waitUntil("the second read", () => turns.length === 2);
      assert(turns[1]! > number, `turn ${turns[1]}, and no later one than ${number}`);
    },
    systemClock,
    turn,
  );
});

Deno.test("A connection without a first message is closed, and at the bound the longest idle one", async () => {
  let movedMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + movedMs };
  await withTcpServer(readAll, async (server, metrics) => {
    const connect = () => Deno.connect({ hostname, port: server.address.port });
    const count = (result: string) => metrics.counter("countd_connections_total", result).value;
    const peers: Deno.TcpConn[] = [];
    try {
      using silent = await connect();
      for (let index = 0; index < 9; index++) peers.push(await connect());
      for (const peer of peers) {
        await peer.write(new Uint8Array(1));
        await systemClock.sleep(2);
      }
      await waitUntil(
        "all to speak",
        () => metrics.counter("countd_bytes_total", "in").value === 9,
      );
      movedMs += 31_000;
      assertEquals(await silent.read(new Uint8Array(1)), null);
      assertEquals([count("silent"), server.connectionCount], [1, 9]);
      peers.push(await connect());
      await peers[9]!.write(new Uint8Array(1));
      // None was idle for a minute.
      using tooMany = await connect();
      assertEquals(await tooMany.read(new Uint8Array(1)).catch(() => null), null);
      assertEquals([count("over-limit"), count("idle")], [1, 0]);
      movedMs += 40_000;
      peers.push(await connect());
      await peers[10]!.write(new Uint8Array(1));
      assertEquals(await peers[0]!.read(new Uint8Array(1)), null);
      await waitUntil("ten connections", () => server.connectionCount === 10);
      assertEquals([count("over-limit"), count("idle")], [1, 1]);
    } finally {
      for (const peer of peers) peer.close();
    }
  }, clock);
});

Deno.test("What peers cause is reported at most once a second, and the rest is counted", () => {
  let nowMs = 0;
  const said: unknown[] = [];
  const rare = new RareEvents(
    { report: (_level, event, fields) => void said.push([event, fields]) },
    { ...systemClock, nowMs: () => nowMs },
  );
  for (let index = 0; index < 5; index++) rare.report("warn", "a", { index });
  rare.report("warn", "b");
  rare.tellOmitted();
  assertEquals(said.splice(0), [["a", { index: 0 }], ["b", {}]]);
  nowMs = 1000;
  rare.tellOmitted();
  rare.tellOmitted();
  assertEquals(said.splice(0), [["a", { index: 4, omitted: 3 }]]);
  rare.report("warn", "a", { index: 5 });
  rare.tellOmitted({ isEnd: true });
  assertEquals(said.splice(0), [["a", { index: 5 }]]);
});

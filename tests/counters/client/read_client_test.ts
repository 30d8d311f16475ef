/** The client of the read port with servers of other protocols, and with calls that overlap. */

import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { ConnectError } from "../../../src/base/errors.ts";
import { ReadClient } from "../../../src/counters/client/mod.ts";
import { DEFAULT_SIZES } from "../../../src/counters/wire/mod.ts";
import { IDLE_MS } from "../../../src/net/idle_peers.ts";
import { overridden } from "../../support/overridden.ts";
import { waitUntil } from "../../support/wait.ts";
import { counters, withServer } from "../read/served_directory.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

// Story: a request sent to the write port is a part of a message there, so the server waits for the rest,
// and the client waited forever for a reply.
Deno.test("If a server is silent the client stops waiting, and its message asks what port it is", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const address = listener.addr as Deno.NetAddr;
  using client = await ReadClient.connect(address, DEFAULT_SIZES, { silenceMs: 100 });
  using _peer = await accepted;
  await assertRejects(() => client.value(bytes("ks"), bytes("k")), ConnectError, "the read port");
});

Deno.test("Requests that overlap are sent one by one, and each gets its own reply", async () => {
  await withServer(async (living, { address }) => {
    await living.write(counters("ks", 50));
    const ranking = living.ranking("ks");
    using client = await ReadClient.connect(address, DEFAULT_SIZES);
    const [values, page, keyspaces, missing] = await Promise.all([
      Promise.all(ranking.map(({ key }) => client.value(bytes("ks"), bytes(key)))),
      client.page(bytes("ks"), { offset: 0, length: 10 }),
      client.keyspaces(bytes("")),
      client.value(bytes("ks"), bytes("none")),
    ]);
    assertEquals(values, ranking.map(({ value }) => value));
    assertEquals(page.rows.map(({ value }) => value), ranking.slice(0, 10).map((row) => row.value));
    assertEquals(keyspaces.map(({ counters }) => counters), [50]);
    assertEquals(missing, null);
  });
});

Deno.test("A client whose idle connection gave its place to another one asks over a new one", async () => {
  // Story: a shell was idle for a minute, and the server ended its connection in favour of a new one. The next
  // question failed with "ended the connection in a reply", and so did each one after it.
  let aheadMs = 0;
  const clock = overridden(systemClock, { nowMs: () => systemClock.nowMs() + aheadMs });
  await withServer(async (living, { address }, metrics) => {
    await living.write(counters("ks", 5));
    using client = await ReadClient.connect(address, DEFAULT_SIZES);
    const total = async () => (await client.page(bytes("ks"), { offset: 0, length: 1 })).total;
    for (let rounds = 0; rounds < 2; rounds++) {
      assertEquals(await total(), 5);
      aheadMs += IDLE_MS + 1;
      using other = await ReadClient.connect(address, DEFAULT_SIZES);
      assertEquals(await other.value(bytes("ks"), bytes("none")), null);
      other[Symbol.dispose]();
      await waitUntil("a place", () => metrics.gauge("countd_connections").value === 0);
    }
    assertEquals(await total(), 5);
  }, { options: { maxConnections: 1 }, clock });
});

Deno.test("A client asks over a new connection once, and not at all after it was closed", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = listener.addr as Deno.NetAddr;
  const peers: Deno.TcpConn[] = [];
  const request = new Uint8Array(1024);
  const accept = async () => {
    const peer = await listener.accept();
    peers.push(peer);
    await peer.read(request);
    return peer;
  };
  const value = () => client.value(bytes("ks"), bytes("k"));
  using client = await ReadClient.connect(address, DEFAULT_SIZES);
  const first = accept().then((peer) => peer.write(new Uint8Array(24)));
  assertEquals(await value(), null);
  await first;

  const refused = assertRejects(value, ConnectError, "ended the connection in a reply");
  await peers[0]!.read(request);
  peers[0]!.close();
  (await accept()).close();
  await refused;
  assertEquals(peers.length, 2);

  const third = accept().then((peer) => peer.write(new Uint8Array(24)));
  using other = await ReadClient.connect(address, DEFAULT_SIZES);
  const ask = () => other.value(bytes("ks"), bytes("k"));
  assertEquals(await ask(), null);
  await third;
  const lost = assertRejects(ask, ConnectError);
  await peers[2]!.read(request);
  other[Symbol.dispose]();
  await lost;
  peers[2]!.close();
  const late = await Promise.race([listener.accept(), systemClock.sleep(100)]);
  assertEquals(late, undefined, "no connection more");
});

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { FailedError } from "../../../src/base/errors.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { DirectoryFailedError } from "../../../src/counters/commitlog/mod.ts";
import { keyspacePath } from "../../../src/counters/keyspace/mod.ts";
import { ReadServer } from "../../../src/counters/read/mod.ts";
import { decodeRows } from "../../../src/counters/wire/mod.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { ofNewerFormat } from "../../support/other_format.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { LivingDirectory } from "../view/living_directory.ts";
import { latin1Bytes } from "../view/plain_base.ts";
import { RequestSocket } from "./request_socket.ts";
import { counters, encoder, page, rowsOf, withServer } from "./served_directory.ts";

Deno.test("A range gives its rows, fewer at the end, and none behind the end", async () => {
  await withServer(async (living, server) => {
    await living.write(counters("ks", 5));
    const all = living.ranking("ks");
    for (const isFolded of [false, true]) {
      if (isFolded) {
        await living.seal();
        await living.fold();
      }
      using socket = await RequestSocket.connect(server.address);
      for (const [offset, length] of [[0, 3], [3, 10], [99, 1], [0, 0], [5, 1], [4, 1]] as const) {
        await socket.send(page("ks", offset, length));
        const reply = await socket.reply();
        assertEquals(rowsOf(reply), all.slice(offset, offset + length));
        assertEquals([reply.total, reply.rows], [all.length, rowsOf(reply).length]);
      }
    }
  });
});

Deno.test("An unknown keyspace is answered with 0, 0, 0", async () => {
  await withServer(async (_, server) => {
    using socket = await RequestSocket.connect(server.address);
    await socket.send(page("absent", 0, 10));
    assertEquals(await socket.bytes(24), new Uint8Array(24));
    await socket.send(encoder.key(latin1Bytes("absent"), latin1Bytes("k")));
    assertEquals(await socket.bytes(24), new Uint8Array(24));
  });
});

Deno.test("Requests that break a rule are answered −22 and the connection goes on", async () => {
  await withServer(async (living, server) => {
    await living.write(counters("ks", 1));
    using socket = await RequestSocket.connect(server.address);
    const afterNul = page("ks", 0, 1);
    afterNul[100] = 1;
    const unknown = encoder.key(latin1Bytes("ks"), latin1Bytes("k"));
    new DataView(unknown.buffer).setBigInt64(264, 9n, true);
    for (
      const bad of [page("ks", -1, 1), page("ks", 0, -1), new Uint8Array(272), afterNul, unknown]
    ) {
      await socket.send(bad);
      assertEquals(await socket.reply(), { total: -22, rows: 0, body: new Uint8Array(0) });
    }
    await socket.send(page("ks", 0, 2n ** 63n - 1n));
    assertEquals((await socket.reply()).rows, 1);
    await socket.send(page("ks", 2n ** 63n - 1n, 1));
    assertEquals(await socket.reply(), { total: 1, rows: 0, body: new Uint8Array(0) });
  });
});

Deno.test("Extended requests answer a key's rank and value, and the keyspaces", async () => {
  await withServer(async (living, server) => {
    await living.write([...counters("ks", 50), ...counters("b", 3), ...counters("a", 1)]);
    using socket = await RequestSocket.connect(server.address);
    for (const [rank, { key, value }] of living.ranking("ks").entries()) {
      await socket.send(encoder.key(latin1Bytes("ks"), latin1Bytes(key)));
      const { total, rows, body } = await socket.reply();
      assertEquals([total, rows], [50, 1]);
      assertEquals(new DataView(body.buffer).getBigInt64(0, true), BigInt(rank));
      assertEquals([...decodeRows(body.subarray(8), 1)], [{ value, key: latin1Bytes(key) }]);
    }
    await socket.send(encoder.key(latin1Bytes("ks"), latin1Bytes("absent")));
    assertEquals(await socket.reply(), { total: 50, rows: 0, body: new Uint8Array(0) });
    await socket.send(encoder.keyspaces(new Uint8Array(0)));
    assertEquals(rowsOf(await socket.reply()), [
      { key: "a", value: 1n },
      { key: "b", value: 3n },
      { key: "ks", value: 50n },
    ]);
    await socket.send(encoder.keyspaces(latin1Bytes("b")));
    assertEquals(rowsOf(await socket.reply()), [{ key: "ks", value: 50n }]);
    await socket.send(encoder.keyspaces(latin1Bytes("ks")));
    assertEquals(await socket.reply(), { total: 3, rows: 0, body: new Uint8Array(0) });
  });
});

Deno.test("A reply carries at most 65,536 rows", async () => {
  await withServer(async (living, server) => {
    const all = counters("ks", 66_000);
    for (let from = 0; from < all.length; from += 2000) {
      await living.write(all.slice(from, from + 2000));
    }
    await living.seal();
    await living.fold();
    using socket = await RequestSocket.connect(server.address);
    await socket.send(page("ks", 100, 100_000));
    const reply = await socket.reply();
    assertEquals([reply.total, reply.rows], [66_000, 65_536]);
    assertEquals(rowsOf(reply), living.ranking("ks").slice(100, 100 + 65_536));
  });
});

Deno.test("Pipelined requests in any segmentation are answered in order, as the plain model says", async () => {
  const random = new Random(seedForTest("pipelined requests"));
  await withServer(async (living, server) => {
    await living.write([...counters("one", 300), ...counters("two", 20)]);
    await living.seal();
    await living.fold();
    await living.write(counters("one", 40));
    const listed = ["one", "two"]
      .map((key) => ({ key, value: BigInt(living.ranking(key).length) }));
    await Promise.all(Array.from({ length: 4 }, async () => {
      using socket = await RequestSocket.connect(server.address);
      const expected: (() => Promise<void>)[] = [];
      const parts: Uint8Array[] = [];
      for (let count = 0; count < 200; count++) {
        const keyspace = random.pick(["one", "two", "absent"]);
        const ranking = living.ranking(keyspace);
        const [offset, length] = [random.below(320), random.below(120)];
        if (random.chance(0.7)) {
          parts.push(page(keyspace, offset, length));
          expected.push(async () => {
            const reply = await socket.reply();
            assertEquals(rowsOf(reply), ranking.slice(offset, offset + length));
          });
        } else if (random.chance(0.5)) {
          const key = `key-${random.below(320)}`;
          parts.push(encoder.key(latin1Bytes(keyspace), latin1Bytes(key)));
          const rank = ranking.findIndex((row) => row.key === key);
          expected.push(async () => {
            const { rows, body } = await socket.reply();
            assertEquals(rows, rank < 0 ? 0 : 1);
            if (rank < 0) return;
            assertEquals(new DataView(body.buffer).getBigInt64(0, true), BigInt(rank));
          });
        } else if (random.chance(0.6)) {
          parts.push(encoder.keyspaces(new Uint8Array(0)));
          expected.push(async () => assertEquals(rowsOf(await socket.reply()), listed));
        } else {
          const bad = page(keyspace, 0, 1);
          bad[255] = 1;
          parts.push(bad);
          expected.push(async () => assertEquals((await socket.reply()).total, -22));
        }
      }
      const stream = new Uint8Array(
        await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer(),
      );
      const sending = (async () => {
        for (let sent = 0; sent < stream.length;) {
          const count = random.chance(0.5) ? random.between(1, 600) : random.between(1, 30_000);
          await socket.send(stream.subarray(sent, sent + count));
          sent += count;
        }
        await socket.endSending();
      })();
      for (const check of expected) await check();
      await sending;
      assertEquals(await socket.some(), null);
    }));
  });
});

Deno.test("A request that is cut off, and noise, do not harm other connections", async () => {
  const random = new Random(seedForTest("noise on the read port"));
  await withServer(async (living, server) => {
    await living.write(counters("ks", 5));
    using witness = await RequestSocket.connect(server.address);
    for (let round = 0; round < 30; round++) {
      using socket = await RequestSocket.connect(server.address);
      await socket.send(random.bytes(random.below(2000)));
      if (random.chance(0.5)) await socket.endSending();
      await witness.send(page("ks", 0, 9));
      assertEquals((await witness.reply()).rows, 5);
    }
  });
});

Deno.test("A damaged keyspace is answered −5 and reported once, the others go on", async () => {
  const events: string[] = [];
  await withServer(async (living, server) => {
    await living.write([...counters("good", 3), ...counters("bad", 2000)]);
    await living.seal();
    await living.fold();
    const path = keyspacePath(`${living.path}/keyspaces`, latin1Bytes("bad"));
    const whole = Deno.readFileSync(path);
    const damaged = whole.slice();
    // Behind the meta blocks, so that only the pages are hit.
    for (let at = 16_384; at < damaged.length; at += 512) damaged[at]! ^= 1;
    Deno.writeFileSync(path, damaged);
    using socket = await RequestSocket.connect(server.address);
    for (let tries = 0; tries < 2; tries++) {
      await socket.send(page("bad", 0, 10));
      assertEquals(await socket.reply(), { total: -5, rows: 0, body: new Uint8Array(0) });
      await socket.send(encoder.key(latin1Bytes("bad"), latin1Bytes("key-1")));
      assertEquals((await socket.reply()).total, -5);
      await socket.send(page("good", 0, 10));
      assertEquals((await socket.reply()).rows, 3);
    }
    const reports = events.filter((event) => event === "damaged file").length;
    assert(reports >= 1 && reports <= 2, "Once for each damaged place");
    Deno.writeFileSync(path, whole);
    await socket.send(page("bad", 0, 1));
    assertEquals((await socket.reply()).rows, 1);
  }, { events: { report: (_, event) => events.push(event) } });
});

Deno.test("A keyspace of a newer format is answered −5 and reported once, the others go on", async () => {
  const reports: string[] = [];
  await withServer(async (living, server) => {
    await living.write([...counters("good", 3), ...counters("newer", 3)]);
    await living.seal();
    await living.fold();
    const path = keyspacePath(`${living.path}/keyspaces`, latin1Bytes("newer"));
    const whole = Deno.readFileSync(path);
    Deno.writeFileSync(path, ofNewerFormat(whole, "version"));
    using socket = await RequestSocket.connect(server.address);
    for (let tries = 0; tries < 2; tries++) {
      await socket.send(page("newer", 0, 10));
      assertEquals((await socket.reply()).total, -5);
      await socket.send(page("good", 0, 10));
      assertEquals((await socket.reply()).rows, 3);
    }
    const reason =
      `Keyspace file ${path} has format 3, and this countd reads format 2: use a newer countd`;
    assertEquals(reports, [`file of another format ${reason}`]);
    Deno.writeFileSync(path, whole);
    await socket.send(page("newer", 0, 10));
    assertEquals((await socket.reply()).rows, 3);
  }, { events: { report: (_, event, { reason } = {}) => reports.push(`${event} ${reason}`) } });
});

Deno.test("What the system refuses to read is answered −5 or −11, and the server goes on", async () => {
  const events: string[] = [];
  const faults = new Faults();
  await withServer(async (living, server) => {
    await living.write(counters("ks", 3));
    await living.seal();
    await living.fold();
    using socket = await RequestSocket.connect(server.address);
    const ask = async () => {
      await socket.send(page("ks", 0, 10));
      return (await socket.reply()).total;
    };
    faults.failAt("open", 1, "EMFILE");
    assertEquals(await ask(), -11);
    faults.failAt("read", 1, "EIO");
    assertEquals(await ask(), -5);
    assertEquals(await ask(), 3);
    assertEquals(events, ["cannot read", "cannot read"]);
  }, {
    events: { report: (_, event) => events.push(event) },
    storage: (storage) => faultyStorage(storage, faults),
  });
});

Deno.test("More connections than allowed are accepted and closed", async () => {
  const events: string[] = [];
  await withServer(async (living, server, metrics) => {
    await living.write(counters("ks", 1));
    using first = await RequestSocket.connect(server.address);
    await first.send(page("ks", 0, 1));
    await first.reply();
    using second = await RequestSocket.connect(server.address);
    assertEquals(await second.some(), null);
    assertEquals(events, ["connection closed: too many"]);
    assertEquals(metrics.counter("countd_connections_total", "over-limit").value, 1);
    first[Symbol.dispose]();
    await waitUntil("the first to be gone", () => metrics.gauge("countd_connections").value === 0);
    using third = await RequestSocket.connect(server.address);
    await third.send(page("ks", 0, 1));
    assertEquals((await third.reply()).rows, 1);
  }, { options: { maxConnections: 1 }, events: { report: (_, event) => events.push(event) } });
});

Deno.test("A port in use is reported, with what to do", async () => {
  await withServer((living, server) => {
    using directory = living.openAgain();
    const { port } = server.address;
    assertThrows(
      () =>
        new ReadServer(directory, {
          hostname: "127.0.0.1",
          port,
          maxConnections: 1,
          stale: false,
        }, { clock: systemClock, events: noEvents, metrics: new Metrics() }),
      FailedError,
      "--port",
    );
    return Promise.resolve();
  });
});

Deno.test("A server ends if the directory is marked failed, and does not start on such a directory", async () => {
  await withTemporaryDirectory(async (path) => {
    const living = await LivingDirectory.open(`${path}/data`);
    using directory = living.openAgain();
    const start = () =>
      new ReadServer(directory, {
        hostname: "127.0.0.1",
        port: 0,
        maxConnections: 1,
        stale: false,
      }, { clock: systemClock, events: noEvents, metrics: new Metrics() });
    const server = start();
    directory.markFailed("a sync failed in a test", 0);
    await assertRejects(() => within("the end", server.failed), DirectoryFailedError);
    await server.stop();
    using another = living.openAgain();
    assertThrows(
      () =>
        new ReadServer(another, {
          hostname: "127.0.0.1",
          port: 0,
          maxConnections: 1,
          stale: false,
        }, { clock: systemClock, events: noEvents, metrics: new Metrics() }),
      DirectoryFailedError,
    );
    assertEquals(living.violations().length, 1);
  });
});

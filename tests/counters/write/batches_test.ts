/** Batches on the write port, as a client sees them: every row of the tables in the README of `wire`. */

import { assert, assertEquals } from "@std/assert";
import { Metrics } from "../../../src/base/metrics.ts";
import { recordsOf, takeSealed, withDataDirectory } from "../../support/data_directory.ts";
import { joined, sendAll } from "../../process/plain_messages.ts";
import {
  ask,
  batch,
  batchOf,
  connectWithHello,
  hello,
  introduction,
  type PlainAnswer,
  receiveAnswer,
  records,
  taken,
} from "../../process/plain_batches.ts";
import { messages, RawClient, startServer } from "./support.ts";

async function isOver(connection: Deno.TcpConn): Promise<boolean> {
  return await connection.read(new Uint8Array(1)) === null;
}

Deno.test("Batches become frames as they are, and are answered once for several", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const metrics = new Metrics();
    const server = await startServer(open(), {}, { metrics });
    const { connection, welcome, status } = await connectWithHello(server.address.port);
    using _ = connection;
    assertEquals(status, 0);
    // Version, status, widths, most bytes for logs of 64 KiB, what it takes.
    const words = [8, 12, 16, 20, 24, 28].map((at) => welcome.getUint32(at, true));
    assertEquals(words, [1, 0, 256, 256, 57_344, 1]);
    assertEquals(
      new Uint8Array(welcome.buffer, 32, 16),
      directory.control.identity,
    );
    const bytes = joined([
      batchOf(1, [["pages", "/", 47n], ["other", "", -9n], ["pages", "/", 1n]]),
      batchOf(2, []),
      batchOf(3, [["other", "k".repeat(256), 2n ** 63n - 1n]]),
    ]);
    assertEquals(await ask(connection, bytes, 1), [taken(3)]);
    assertEquals(await ask(connection, batchOf(4, [["pages", "x", 1n]]), 1), [taken(4)]);
    await connection.closeWrite();
    assert(await isOver(connection));
    const value = (name: "countd_increments_total" | "countd_batches_total", label: string) =>
      metrics.counter(name, label).value;
    assertEquals(value("countd_increments_total", "accepted"), 5);
    assertEquals(value("countd_batches_total", "taken"), 4);
    assertEquals(value("countd_batches_total", "refused"), 0);
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), [
      "pages / 47",
      "other  -9",
      "pages / 1",
      `other ${"k".repeat(256)} ${2n ** 63n - 1n}`,
      "pages x 1",
    ]);
    let frames = 0;
    log.forEachBatch(() => frames++);
    assertEquals(frames, 3);
    log.release();
  });
});

Deno.test("A hello, a head and a batch may come byte by byte, and a batch right behind its introduction", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    using client = await RawClient.connect(server);
    client.connection.setNoDelay(true);
    for (const byte of hello()) await client.send(Uint8Array.of(byte));
    await client.receiveBytes(64);
    await client.send(joined([introduction(), batchOf(1, [["ks", "a", 1n]])]));
    assertEquals((await client.receiveBytes(64))[0], 0);
    assertEquals(await receiveAnswer(client.connection), taken(1));
    for (const byte of batchOf(2, [["ks", "b", 2n]])) await client.send(Uint8Array.of(byte));
    assertEquals(await receiveAnswer(client.connection), taken(2));
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["ks a 1", "ks b 2"]);
    log.release();
  });
});

Deno.test("A refused batch does not use up its number, and those behind it come again", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    const zero = batchOf(2, [["ks", "a", 1n], ["ks", "b", 0n]]);
    const bytes = joined([
      batchOf(1, [["ks", "first", 1n]]),
      zero,
      batchOf(3, [["ks", "third", 1n]]),
      batchOf(4, [["ks", "fourth", 1n]]),
    ]);
    const refused: PlainAnswer[] = [[2, 1, 12, 2], [3, 3, 0, 2], [4, 3, 0, 2]];
    assertEquals(await ask(connection, bytes, 4), [taken(1), ...refused]);
    // The same again, and then an empty one in its place.
    assertEquals(await ask(connection, zero, 1), [[2, 1, 12, 2]]);
    const again = joined([
      batchOf(3, [["ks", "third", 1n]]),
      batchOf(2, []),
      batchOf(3, [["ks", "third", 3n]]),
      batchOf(4, [["ks", "fourth", 4n]]),
    ]);
    assertEquals(await ask(connection, again, 2), [[3, 3, 0, 2], taken(4)]);
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["ks first 1", "ks third 3", "ks fourth 4"]);
    log.release();
  });
});

Deno.test("Commands are refused by their kinds, and the connection goes on", async () => {
  await withDataDirectory(async ({ open }) => {
    const server = await startServer(open());
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    for (const kind of [1, 2, 3, 255]) {
      const body = new Uint8Array(32);
      body[0] = kind;
      const command = batch(1, body, { counters: 0, flags: 1 });
      assertEquals(await ask(connection, command, 1), [[1, 4, 0, kind]]);
    }
    const nothing = batch(1, new Uint8Array(0), { counters: 0, flags: 1 });
    assertEquals(await ask(connection, nothing, 1), [[1, 4, 0, 0]]);
    assertEquals(await ask(connection, batchOf(1, [["ks", "k", 1n]]), 1), [taken(1)]);
    await server.stop();
  });
});

Deno.test("A broken head, checksum or order is answered, and ends the connection", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    const change = (at: number, value: number, sequence = 2) => {
      const bytes = batchOf(sequence, [["ks", "lost", 1n]]);
      bytes[at] = value;
      return bytes;
    };
    const cases: [Uint8Array, PlainAnswer][] = [
      [change(0, 1), [2, 16, 1, 0]],
      [change(3, 1), [2, 16, 1, 0]],
      [change(8, 0), [0, 16, 2, 0]],
      [change(15, 1), [Number.MAX_SAFE_INTEGER, 16, 2, 0]],
      [change(19, 1), [2, 16, 3, 0]],
      [change(20, 2), [2, 16, 4, 0]],
      [change(24 + 16, 0x61), [2, 17, 0, 0]],
      [change(16, 2), [2, 17, 0, 0]],
      [batchOf(1, [["ks", "lost", 1n]]), [1, 18, 0, 2]],
      [batchOf(3, [["ks", "lost", 1n]]), [3, 18, 0, 2]],
    ];
    for (const [bytes, answer] of cases) {
      const { connection } = await connectWithHello(server.address.port);
      using _ = connection;
      const sent = joined([batchOf(1, [["ks", "counted", 1n]]), bytes, batchOf(2, [])]);
      assertEquals(await ask(connection, sent, 2), [taken(1), answer]);
      assert(await isOver(connection));
    }
    // Behind a refusal: neither the refused number, nor the next one.
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    const zero = batchOf(1, [["ks", "", 0n]]);
    const sent = joined([zero, batchOf(2, []), batchOf(4, [])]);
    assertEquals(await ask(connection, sent, 3), [[1, 1, 12, 1], [2, 3, 0, 1], [4, 18, 0, 1]]);
    assert(await isOver(connection));
    connection.close();
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), cases.map(() => "ks counted 1"));
    log.release();
  });
});

Deno.test("A client with other widths, for requests, or with an id is refused in words", async () => {
  await withDataDirectory(async ({ open }) => {
    const events: string[] = [];
    const server = await startServer(open(), {}, {
      events: { report: (_level, event, fields) => events.push(`${event}: ${fields?.["reason"]}`) },
    });
    const producer = new Uint8Array(16).fill(1);
    const cases = [[{ keySize: 16 }, 3], [{ flags: 2 }, 4], [{ producer }, 5]] as const;
    for (const [introduced, expected] of cases) {
      const { connection, status } = await connectWithHello(server.address.port, introduced);
      using _ = connection;
      assertEquals(status, expected);
      assert(await isOver(connection));
    }
    const refused =
      "connection closed: its client is refused: its keyspace and key sizes are 256 and 16";
    assert(events.some((event) => event.startsWith(refused)), events.join("\n"));
    await server.stop();
  });
});

Deno.test("With --max-keyspaces a batch is refused whole, and what it defines stays unknown", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open(), { maxKeyspaces: 2 });
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    const three = [["a", "", 1n], ["b", "", 1n], ["b", "x", 1n], ["c", "", 1n]] as const;
    assertEquals(await ask(connection, batchOf(1, three), 1), [[1, 2, 0, 5]]);
    const two = [["c", "", 1n], ["d", "", 1n]] as const;
    assertEquals(await ask(connection, batchOf(1, two), 1), [taken(1)]);
    assertEquals(await ask(connection, batchOf(2, [["a", "", 1n]]), 1), [[2, 2, 0, 0]]);
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["c  1", "d  1"]);
    log.release();
  });
});

Deno.test("Batches are longer than the first memory, and a log takes what fits it", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    // 56 KiB are the most for logs of 64 KiB. Each of these takes a log of its own.
    const keys = Array.from({ length: 1790 }, (_, key) => `${key}`.padStart(12, "k"));
    const body = records(keys.map((key) => ["ks", key, 1n]));
    assert(body.length <= 57_344 && body.length > 56_000, `${body.length}`);
    const sent = [1, 2, 3].map((sequence) => batch(sequence, body, { counters: keys.length }));
    await sendAll(connection, joined(sent));
    let last = 0;
    while (last < 3) {
      const [sequence, status] = await receiveAnswer(connection);
      assertEquals(status, 0);
      last = sequence;
    }
    const long = batch(4, new Uint8Array(57_352), { counters: 0 });
    assertEquals(await ask(connection, long.subarray(0, 24), 1), [[4, 16, 1, 0]]);
    connection.close();
    await server.stop();
    for (const slot of [0, 1, 2]) {
      const log = takeSealed(directory, slot);
      assertEquals(recordsOf(log).length, keys.length);
      log.release();
    }
  });
});

Deno.test("What only begins like a hello is messages", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    const magic = new DataView(hello().buffer).getBigInt64(0, true);
    // The increment of a hello, for a real keyspace.
    using client = await RawClient.connect(server);
    await client.send(messages([["ks", "k", magic]]));
    assertEquals(await client.finish(), { answers: "WIN", accepted: 1n, refused: 0n });
    using partial = await RawClient.connect(server);
    await partial.send(hello().subarray(0, 519));
    assertEquals(await partial.finish(), { answers: "", accepted: 0n, refused: 1n });
    // Only the first message of a connection is a hello.
    using later = await RawClient.connect(server);
    await later.send(joined([messages([["ks", "k", 1n]]), hello()]));
    assertEquals(await later.finish(), { answers: "WINNAY", accepted: 1n, refused: 1n });
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), [`ks k ${magic}`, "ks k 1"]);
    log.release();
  });
});

Deno.test("With small fields what only begins like a hello is messages, too", async () => {
  const wanted = { keyspaceSize: 8, keySize: 8 };
  await withDataDirectory(async ({ open }) => {
    const server = await startServer(open());
    // Messages of 24 bytes: 21 of them, and a part of one, which has no answer of its own.
    using client = await RawClient.connect(server);
    await client.send(hello().subarray(0, 510));
    assertEquals(await client.finish(), { answers: "NAY".repeat(21), accepted: 0n, refused: 22n });
    const widths = { keyspaceSize: 8, keySize: 8 };
    const { connection, status } = await connectWithHello(server.address.port, widths);
    using _ = connection;
    assertEquals(status, 0);
    const long = batchOf(1, [["ks", "123456789", 1n]]);
    assertEquals(await ask(connection, long, 1), [[1, 1, 4, 1]]);
    assertEquals(await ask(connection, batchOf(1, [["ks", "12345678", 1n]]), 1), [taken(1)]);
    await server.stop();
  }, { wanted });
});

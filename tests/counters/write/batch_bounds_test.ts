/** What bounds the memory of batches on the write port: pieces to receive them into, and their answers. */

import { crc32 } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import type { Events } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { DataDirectory, describeSelf } from "../../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../../src/file/mod.ts";
import { withDataDirectory } from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { waitUntil } from "../../support/wait.ts";
import { joined, sendAll } from "../../process/plain_messages.ts";
import {
  ask,
  batch,
  batchOf,
  connectWithHello,
  receiveAnswer,
  records,
  taken,
} from "../../process/plain_batches.ts";
import { startServer } from "./support.ts";

Deno.test("A batch of up to 128 KiB does not wait behind longer ones that find no memory", async () => {
  await withDataDirectory(async ({ open }) => {
    const metrics = new Metrics();
    const server = await startServer(open(), { maxConnections: 80, backlogBytes: 2 ** 26 }, {
      metrics,
    });
    using undo = new DisposableStack();
    const connect = async () => undo.use((await connectWithHello(server.address.port)).connection);
    const bodyOf = (keys: number) =>
      records(Array.from({ length: keys }, (_, key) => ["ks", `${key}`.padStart(8, "k"), 1n]));
    // One more in the middle of a long batch than there are pieces for them.
    const long = batch(1, bodyOf(8000), { counters: 8000 });
    assert(long.length > 128 * 1024, `${long.length}`);
    const holders = [];
    while (holders.length < 65) {
      const connection = await connect();
      await sendAll(connection, long.subarray(0, 100_000));
      holders.push(connection);
    }
    await waitUntil("a wait for memory", () => server.batchMemory.isWanted);
    const connection = await connect();
    for (const sequence of [1, 2]) {
      const middling = batch(sequence, bodyOf(5000), { counters: 5000 });
      assert(middling.length > 100_000 && middling.length <= 128 * 1024, `${middling.length}`);
      assertEquals(await ask(connection, middling, 1), [taken(sequence)]);
    }
    assert(server.batchMemory.isWanted);
    assertEquals(metrics.counter("countd_connections_total", "stalled").value, 0);
    // The one that waits gets the piece of another whose batch is over.
    await Promise.all(holders.map(async (holder) => {
      assertEquals(await ask(holder, long.subarray(100_000), 1), [taken(1)]);
    }));
    assert(!server.batchMemory.isWanted);
    await server.stop();
  }, { wanted: { logSize: 1024 * 1024 } });
});

Deno.test("Batches are not taken while more than 64 KiB of answers wait", async () => {
  await withDataDirectory(async (test) => {
    const inner = faultyStorage(test.storage, new Faults());
    let held: PromiseWithResolvers<void> | null = null;
    const storage: Storage = {
      ...inner,
      open(path, options) {
        const file = inner.open(path, options);
        const { syncDataAsync } = file;
        return Object.assign(file, {
          async syncDataAsync() {
            await held?.promise;
            await syncDataAsync();
          },
        });
      },
    };
    using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
    const metrics = new Metrics();
    const server = await startServer(directory, { sealAfterMs: 60_000 }, { metrics });
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    // Behind a batch that is not durable yet come the shortest ones, each with an answer of the same length.
    const last = 10_000;
    const short = [];
    for (let sequence = 2; sequence <= last; sequence++) {
      short.push(batch(sequence, new Uint8Array(0), { counters: 0, flags: 1 }));
    }
    held = Promise.withResolvers();
    const sending = sendAll(connection, joined([batchOf(1, [["ks", "k", 1n]]), ...short]));
    const refused = metrics.counter("countd_batches_total", "refused");
    await waitUntil("64 KiB of answers", () => refused.value * 24 > 65_536);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // Those of one append come on top.
    assert(refused.value * 24 <= 65_536 + 64 * 24, `${refused.value}`);
    held.resolve();
    held = null;
    await sending;
    assertEquals(await receiveAnswer(connection), taken(1));
    assertEquals(await receiveAnswer(connection), [2, 4, 0, 0]);
    for (let sequence = 3; sequence <= last; sequence++) {
      assertEquals(await receiveAnswer(connection), [sequence, 3, 0, 2]);
    }
    assertEquals(await ask(connection, batchOf(2, [["ks", "k", 1n]]), 1), [taken(2)]);
    connection.close();
    await server.stop();
  });
});

Deno.test("While others wait for memory, a peer that does not take its answers is disconnected", async () => {
  await withDataDirectory(async ({ open }) => {
    let passedMs = 0;
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + passedMs };
    const metrics = new Metrics();
    const reported: string[] = [];
    const events: Events = { report: (_level, event) => reported.push(event) };
    const server = await startServer(open(), {}, { metrics, clock, events });
    const { batchMemory } = server;
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    // More answers than the system keeps.
    const last = 500_000;
    const bytes = new Uint8Array(last * 24);
    const view = new DataView(bytes.buffer);
    for (let sequence = 1; sequence <= last; sequence++) {
      const at = (sequence - 1) * 24;
      view.setBigUint64(at + 8, BigInt(sequence), true);
      view.setUint32(at + 20, 1, true);
      view.setUint32(at + 4, crc32(bytes.subarray(at + 8, at + 24)), true);
    }
    // The system may take all of it, or the end of the connection comes first.
    const sending = sendAll(connection, bytes).catch(() => {});
    const refused = metrics.counter("countd_batches_total", "refused");
    for (let before = -1; before === 0 || refused.value !== before;) {
      before = refused.value;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    assert(refused.value < last, `${refused.value}`);
    // All pieces are in use, one by the peer; the others are no one's fault.
    const holder = { lateMs: () => 0, close: () => {} };
    const others: Uint8Array<ArrayBuffer>[] = [];
    while (others.length < 63) others.push(await batchMemory.large(holder));
    const stalled = metrics.counter("countd_connections_total", "stalled");
    passedMs = 4000;
    const waiting = batchMemory.large(holder);
    assert(batchMemory.isWanted);
    assertEquals(stalled.value, 0);
    passedMs = 9000;
    others.push(await waiting);
    assertEquals(stalled.value, 1);
    // Not for its silence, which may last longer.
    const closed = reported.filter((event) => event.startsWith("connection closed"));
    assertEquals(closed, ["connection closed: too slow with its batches, and others wait"]);
    await sending;
    for (const piece of others) batchMemory.release(piece, { isReadInto: false });
    await server.stop();
  });
});

Deno.test("A connection that ends gives its memory away before its peer has closed", async () => {
  await withDataDirectory(async ({ open }) => {
    const server = await startServer(open());
    const { batchMemory } = server;
    const holder = { lateMs: () => 0, close: () => {} };
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    while (pieces.length < 64) pieces.push(await batchMemory.large(holder));
    const { connection } = await connectWithHello(server.address.port);
    using _ = connection;
    const body = records(Array.from({ length: 6000 }, (_, key) => ["ks", `${key}`, 1n]));
    const broken = batch(1, body, { counters: 6000 });
    broken[4]! ^= 1;
    assert(broken.length > 128 * 1024, `${broken.length}`);
    await sendAll(connection, broken.subarray(0, -1));
    await waitUntil("a wait for memory", () => batchMemory.isWanted);
    batchMemory.release(pieces.pop()!, { isReadInto: false });
    const waiting = batchMemory.large(holder).then((piece) => pieces.push(piece));
    assert(batchMemory.isWanted);
    assertEquals(await ask(connection, broken.subarray(-1), 1), [[1, 17, 0, 0]]);
    await waitUntil("its piece", () => pieces.length === 64);
    await waiting;
    for (const piece of pieces) batchMemory.release(piece, { isReadInto: false });
    connection.close();
    await server.stop();
  }, { wanted: { logSize: 1024 * 1024 } });
});

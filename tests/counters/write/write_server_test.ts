/** The write port as a client sees it: answers, totals, order, and connections that are closed. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { FailedError } from "../../../src/base/errors.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  DataDirectory,
  describeSelf,
  DirectoryFailedError,
} from "../../../src/counters/commitlog/mod.ts";
import { encodeTotals } from "../../../src/counters/wire/mod.ts";
import { recordsOf, takeSealed, withDataDirectory } from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { waitUntil } from "../../support/wait.ts";
import { messageBytes, messages, RawClient, startServer } from "./support.ts";

Deno.test("A message is answered WIN, and its record is as it was sent, with the sign", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    using client = await RawClient.connect(server);
    await client.send(messages([["ks", "k", 47n], ["ks", "k", -9n]]));
    assertEquals(await client.receive(6), "WINWIN");
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["ks k 47", "ks k -9"]);
    log.release();
  });
});

Deno.test("A message in two parts becomes one record and one answer", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    using client = await RawClient.connect(server);
    const message = messages([["ks", "k", 1n]]);
    await client.send(message.subarray(0, 300));
    await client.send(message.subarray(300));
    assertEquals(await client.finish(), { answers: "WIN", accepted: 1n, refused: 0n });
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["ks k 1"]);
    log.release();
  });
});

Deno.test("Pipelined messages are answered in order, with NAY for one that breaks a rule", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const metrics = new Metrics();
    const server = await startServer(open(), {}, { metrics });
    using client = await RawClient.connect(server);
    const bytes = messages(["a", "b", "c", "c", "d"].map((key) => ["ks", key, 1n] as const));
    bytes.fill(0, 2 * messageBytes + 8, 2 * messageBytes + 264); // the empty keyspace
    bytes[3 * messageBytes + 264 + 5] = 1; // a byte behind the first NUL of the key
    await client.send(bytes);
    assertEquals(await client.finish(), { answers: "WINWINNAYNAYWIN", accepted: 3n, refused: 2n });
    for (const [reason, count] of [["empty-keyspace", 1], ["key-after-nul", 1]] as const) {
      assertEquals(metrics.counter("countd_rejected_total", reason).value, count);
    }
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["ks a 1", "ks b 1", "ks d 1"]);
    log.release();
  });
});

Deno.test("A writer that gives its place to a new one gets its totals", async () => {
  let movedMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + movedMs };
  await withDataDirectory(async ({ open }) => {
    const server = await startServer(open(), { maxConnections: 1 }, { clock });
    using idle = await RawClient.connect(server);
    await idle.send(messages([["ks", "k", 1n]]));
    assertEquals(await idle.receive(3), "WIN");
    movedMs = 61_000;
    using next = await RawClient.connect(server);
    await next.send(messages([["ks", "k", 1n]]));
    assertEquals(await next.receive(3), "WIN");
    const totals = await idle.receiveBytes(16);
    assertEquals([...totals], [...encodeTotals({ accepted: 1n, refused: 0n })]);
    assertEquals(await idle.connection.read(new Uint8Array(1)), null);
    await server.stop();
  });
});

Deno.test("A part of a message counts as one refused, and does not harm the next client", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    using short = await RawClient.connect(server);
    await short.send(new TextEncoder().encode("fail"));
    assertEquals(await short.finish(), { answers: "", accepted: 0n, refused: 1n });
    using client = await RawClient.connect(server);
    await client.send(messages([["ks", "k", 1n]]));
    assertEquals(await client.finish(), { answers: "WIN", accepted: 1n, refused: 0n });
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["ks k 1"]);
    log.release();
  });
});

Deno.test("Halves of messages from two clients never mix", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open());
    using left = await RawClient.connect(server);
    using right = await RawClient.connect(server);
    const ours = messages([["left", "l".repeat(250), 1n]]);
    const theirs = messages([["right", "r".repeat(250), 2n]]);
    await left.send(ours.subarray(0, 261));
    await right.send(theirs.subarray(0, 261));
    await left.send(ours.subarray(261));
    await right.send(theirs.subarray(261));
    assertEquals([await left.receive(3), await right.receive(3)], ["WIN", "WIN"]);
    await server.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log).sort(), [
      `left ${"l".repeat(250)} 1`,
      `right ${"r".repeat(250)} 2`,
    ]);
    log.release();
  });
});

Deno.test("Full logs are sealed, the next is filled, and nothing is lost on the way", async () => {
  await withDataDirectory(async ({ directory, open, storage, data }) => {
    const server = await startServer(open(), { logs: 4 });
    using client = await RawClient.connect(server);
    const key = "k".repeat(256);
    const count = 600; // of 272 bytes each: more than two small logs
    await client.send(messages(Array.from({ length: count }, () => ["ks", key, 1n] as const)));
    assertEquals((await client.finish()).accepted, BigInt(count));
    const sealed = () =>
      storage.readDirectory(`${data}/logs`).filter((name) =>
        storage.status(`${data}/logs/${name}`).mode === 0o200
      ).length;
    await waitUntil("two sealed logs", () => sealed() === 2);
    await server.stop();
    let records = 0;
    for (let slot = 0; slot < 3; slot++) {
      const log = takeSealed(directory, slot);
      records += recordsOf(log).length;
      log.release();
    }
    assertEquals(records, count);
  });
});

Deno.test("Without ack the server is silent but for the totals at the end", async () => {
  await withDataDirectory(async ({ open }) => {
    for (const sync of ["always", "interval", "os"] as const) {
      const server = await startServer(open(), { acknowledges: false, sync });
      using client = await RawClient.connect(server);
      await client.send(messages([["ks", "k", 1n], ["ks", "k", 0n]]));
      assertEquals(await client.finish(), { answers: "", accepted: 2n, refused: 0n });
      await server.stop();
    }
  });
});

Deno.test("Answers of many windows on many connections come in each connection's order", async () => {
  await withDataDirectory(async ({ open }) => {
    const server = await startServer(open(), { sync: "always", backlogBytes: 2 ** 24 });
    await Promise.all(Array.from({ length: 8 }, async (_, index) => {
      using client = await RawClient.connect(server);
      for (let round = 0; round < 20; round++) {
        const window = messages(
          Array.from({ length: 10 }, (_, at) => [`ks${index}`, `${round} ${at}`, 1n] as const),
        );
        window[3 * messageBytes + 8] = 0; // the fourth has an empty keyspace with bytes behind it
        await client.send(window);
        assertEquals(await client.receive(30), "WINWINWINNAYWINWINWINWINWINWIN");
      }
      assertEquals(await client.finish(), { answers: "", accepted: 180n, refused: 20n });
    }));
    await server.stop();
  });
});

Deno.test("A stop answers what was read, with the totals, and closes", async () => {
  await withDataDirectory(async ({ open }) => {
    const server = await startServer(open());
    using client = await RawClient.connect(server);
    await client.send(messages([["ks", "k", 1n]]));
    assertEquals(await client.receive(3), "WIN");
    await client.send(messages([["ks", "k", 1n]]).subarray(0, 100));
    const stopped = server.stop();
    const totals = await client.receiveBytes(16);
    assertEquals(new DataView(totals.buffer).getBigInt64(0, true), 1n);
    assertEquals(await client.connection.read(new Uint8Array(1)), null);
    await stopped;
  });
});

Deno.test("A stop sends the answers whole to a peer that sends on, and a second stop waits for the first", async () => {
  // Story: bytes that the peer had sent were unread at the close, so the system dropped the last answers.
  await withDataDirectory(async ({ open }) => {
    // The stop must not reach its time limit on a busy machine.
    const sleep: Clock["sleep"] = (timeMs, signal) => systemClock.sleep(30 * timeMs, signal);
    const metrics = new Metrics();
    const server = await startServer(open(), {}, { metrics, clock: { ...systemClock, sleep } });
    using client = await RawClient.connect(server);
    const sent = client.send(new Uint8Array(64 * 2 ** 20));
    // Ten bytes a message, all refused: the answers are more than the sockets hold.
    const bytesOut = metrics.counter("countd_bytes_total", "out");
    await waitUntil("the answers to stop", async () => {
      const before = bytesOut.value;
      await systemClock.sleep(200);
      return before > 0 && bytesOut.value === before;
    });
    const stops = [server.stop(), server.stop()];
    const tail: number[] = [];
    let length = 0;
    const buffer = new Uint8Array(2 ** 20);
    const reading = (async () => {
      while (true) {
        const count = await client.connection.read(buffer);
        if (count === null) return;
        length += count;
        tail.push(...buffer.subarray(Math.max(0, count - 16), count));
        tail.splice(0, tail.length - 16);
      }
    })();
    await Promise.all([sent, reading]);
    const totals = new DataView(Uint8Array.from(tail).buffer);
    assertEquals(totals.getBigInt64(0, true), 0n);
    assertEquals(totals.getBigInt64(8, true), BigInt((length - 16) / 3), "one answer a message");
    await client.connection.closeWrite();
    await Promise.all(stops);
  }, { wanted: { keyspaceSize: 1, keySize: 1 } });
});

Deno.test("After a sync that failed no message is answered any more, and the server must end", async () => {
  await withDataDirectory(async ({ storage, data }) => {
    const faults = new Faults();
    const failing = faultyStorage(storage, faults);
    using opened = DataDirectory.open(failing, data, { self: describeSelf(storage) });
    const server = await startServer(opened);
    await waitUntil("the spare", () => faults.count("link") >= 6);
    using first = await RawClient.connect(server);
    using second = await RawClient.connect(server);
    await first.send(messages([["ks", "k", 1n]]));
    assertEquals(await first.receive(3), "WIN");
    faults.failFrom("sync", 1, "EIO");
    await second.send(messages([["ks", "k", 1n]]));
    await assertRejects(() => server.failed, DirectoryFailedError);
    await first.send(messages([["ks", "k", 1n]])).catch(() => {});
    for (const client of [first, second]) {
      assertEquals(await client.connection.read(new Uint8Array(1)).catch(() => null), null);
    }
    await assertRejects(() => server.stop(), DirectoryFailedError);
  }, { checks: false });
});

Deno.test("A log that cannot be written to ends the writer, and what came before stays counted", async () => {
  await withDataDirectory(async ({ storage, data, directory }) => {
    const faults = new Faults();
    using opened = DataDirectory.open(faultyStorage(storage, faults), data, {
      self: describeSelf(storage),
    });
    const server = await startServer(opened);
    await waitUntil("the spare", () => faults.count("link") >= 6);
    using client = await RawClient.connect(server);
    await client.send(messages([["ks", "k", 1n]]));
    assertEquals(await client.receive(3), "WIN");
    faults.failFrom("write", 1, "EIO");
    await client.send(messages([["ks", "k", 2n]]));
    const error = await assertRejects(() => server.failed, DirectoryFailedError);
    assertEquals(error.isMarked, false, "the disk takes no mark either");
    assertEquals(await client.connection.read(new Uint8Array(1)).catch(() => null), null);
    await assertRejects(() => server.stop(), DirectoryFailedError);
    assertEquals(directory.failedMark(), null);
    // The next writer recovers the log: the first increment is there, the second never was.
    const next = await startServer(directory);
    await next.stop();
    const log = takeSealed(directory, 0);
    assertEquals(recordsOf(log), ["ks k 1"]);
    log.release();
  });
});

/**
 * Story: closing a connection did not end the write to it, which waited as long as the peer lived. It kept
 * its place, and was counted and reported again each second.
 */
Deno.test("A peer that takes no answers for half a minute is cut off once, and is gone", async () => {
  await withDataDirectory(async ({ open }) => {
    let nowMs = 0;
    const clock: Clock = { ...systemClock, nowMs: () => nowMs };
    const metrics = new Metrics();
    const server = await startServer(open(), {}, { metrics, clock });
    using stuck = await RawClient.connect(server);
    // Ten bytes a message, all refused: three bytes of answer each, more than the sockets hold.
    const sent = stuck.send(new Uint8Array(64 * 2 ** 20)).catch(() => {});
    const bytesOut = metrics.counter("countd_bytes_total", "out");
    await waitUntil("the answers to stop", async () => {
      const before = bytesOut.value;
      await systemClock.sleep(200);
      return before > 0 && bytesOut.value === before;
    });
    nowMs = 31_000;
    await waitUntil("the connection to be closed", () => server.connectionCount === 0);
    assertEquals(metrics.counter("countd_connections_total", "stalled").value, 1);
    await sent;
    using other = await RawClient.connect(server);
    assertEquals((await other.finish()).refused, 0n);
    await server.stop();
  }, { wanted: { keyspaceSize: 1, keySize: 1 } });
});

Deno.test("Connections beyond the limit are closed and counted", async () => {
  await withDataDirectory(async ({ open }) => {
    const metrics = new Metrics();
    const server = await startServer(open(), { maxConnections: 2 }, { metrics });
    using first = await RawClient.connect(server);
    using second = await RawClient.connect(server);
    await waitUntil("two connections", () => server.connectionCount === 2);
    using third = await RawClient.connect(server);
    assertEquals(await third.connection.read(new Uint8Array(1)).catch(() => null), null);
    const turnedAway = metrics.counter("countd_connections_total", "over-limit");
    await waitUntil("the count", () => turnedAway.value === 1);
    await first.send(messages([["ks", "k", 1n]]));
    assertEquals(await first.receive(3), "WIN");
    await second.finish();
    await server.stop();
  });
});

Deno.test("A port in use is reported, with what to do, and no log is claimed", async () => {
  await withDataDirectory(async ({ open, storage, data }) => {
    const server = await startServer(open());
    const before = storage.readDirectory(`${data}/logs`).sort();
    const error = await assertRejects(
      () => startServer(open(), { port: server.address.port }),
      FailedError,
      "is in use",
    );
    assert(error.message.includes("--port"));
    assertEquals(storage.readDirectory(`${data}/logs`).sort(), before);
    await server.stop();
  });
});

/** A disk that is full when a frame is written: nothing is dropped, and writing goes on by itself. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { type Events, noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  DataDirectory,
  describeSelf,
  DirectoryFailedError,
} from "../../../src/counters/commitlog/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import {
  LogWriter,
  type WriteServer,
  type WriteServerOptions,
} from "../../../src/counters/write/mod.ts";
import {
  batchOf,
  poolOn,
  recordsOf,
  takeSealed,
  type TestDirectory,
  withDataDirectory,
} from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { messageBytes, messages, RawClient, serverOptions, startServer } from "./support.ts";

interface FaultyServer extends Disposable {
  readonly server: WriteServer;
  readonly faults: Faults;
  readonly events: string[];
  readonly metrics: Metrics;
}

/** A server whose writes fail when `faults` says so, with its first log and its spare claimed. */
async function startFaulty(
  { storage, data }: TestDirectory,
  options: Partial<WriteServerOptions> = {},
): Promise<FaultyServer> {
  const faults = new Faults();
  const self = describeSelf(storage);
  const directory = DataDirectory.open(faultyStorage(storage, faults), data, { self });
  const events: string[] = [];
  const reporter: Events = { report: (_level, event) => events.push(event) };
  const metrics = new Metrics();
  const server = await startServer(directory, options, { metrics, events: reporter });
  await waitUntil("the spare", () => faults.count("link") >= 6);
  return { server, faults, events, metrics, [Symbol.dispose]: () => directory.close() };
}

const diskFull = "disk full: sockets are not read until space returns";

// Story: on a file system that never writes in place, the disk may be full for bytes that were allocated
// long before. The writer took ENOSPC for a broken log and ended, with every connection.
for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
  Deno.test(`A frame that meets a full disk (${code}) is written when space returns, once`, async () => {
    await withDataDirectory(async (test) => {
      using faulty = await startFaulty(test);
      const { server, faults, events, metrics } = faulty;
      const gauge = metrics.gauge("countd_disk_full");
      using first = await RawClient.connect(server);
      using second = await RawClient.connect(server);
      await first.send(messages([["ks", "before", 1n]]));
      assertEquals(await first.receive(3), "WIN");
      const { position } = server.writer;

      faults.failFrom("write", 1, code);
      const refused = messages([["ks", "a", 2n], ["ks", "b", 3n], ["ks", "c", 4n]]);
      refused.fill(0, messageBytes + 8, messageBytes + 264); // the empty keyspace
      await first.send(refused);
      await second.send(messages([["other", "d", 5n]]));
      await waitUntil("a few attempts", () => faults.failed >= 3);
      assertEquals(events.filter((event) => event === diskFull).length, 1);
      assertEquals(gauge.value, 1);
      assertEquals(server.writer.position, position);
      assertEquals(metrics.counter("countd_increments_total", "accepted").value, 1);

      // What the thread does in the meantime does not count as work of these connections.
      const endMs = systemClock.nowMs() + 300;
      while (systemClock.nowMs() < endMs);
      faults.heal();
      assertEquals(await first.receive(9), "WINNAYWIN");
      const turnSeconds = metrics.gauge("countd_event_loop_turn_seconds").value;
      assert(turnSeconds < 0.15, `a turn of ${turnSeconds} s`);
      assertEquals(await second.receive(3), "WIN");
      assertEquals(events.filter((event) => event === "writing goes on").length, 1);
      assertEquals(gauge.value, 0);
      assertEquals(metrics.counter("countd_rejected_total", "empty-keyspace").value, 1);
      assertEquals(await first.finish(), { answers: "", accepted: 3n, refused: 1n });
      assertEquals(await second.finish(), { answers: "", accepted: 1n, refused: 0n });
      await server.stop();
      const log = takeSealed(test.directory, 0);
      const records = recordsOf(log);
      assertEquals(records[0], "ks before 1");
      assertEquals(records.slice(1).sort(), ["ks a 2", "ks c 4", "other d 5"]);
      log.release();
    });
  });
}

Deno.test("A writer that waits for space syncs what it has, and can be stopped", async () => {
  await withDataDirectory(async (test) => {
    const faults = new Faults();
    const storage = faultyStorage(test.storage, faults);
    using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
    const writer = await LogWriter.start(directory, serverOptions, {
      clock: systemClock,
      events: noEvents,
      metrics: new Metrics(),
    });
    assert(writer.append(batchOf([["ks", "before", 1n]])));
    faults.failFrom("write", 1, "ENOSPC");
    const later = batchOf([["ks", "later", 1n]]);
    assertEquals(writer.append(later), false);
    const waiting = writer.rotate();
    waiting.catch(() => {});
    assertEquals([writer.append(later), faults.failed], [false, 1], "no other append is tried");
    await writer.whenDurable(writer.position);
    await writer.stop();
    await assertRejects(() => waiting);
    // There was no space for the header that seals the log, either.
    poolOn(test.directory).recoverAll();
    const log = takeSealed(test.directory, 0);
    assertEquals(recordsOf(log), ["ks before 1"]);
    log.release();
  });
});

Deno.test("A writer that waits for space ends when the directory is marked failed", async () => {
  await withDataDirectory(async (test) => {
    using faulty = await startFaulty(test);
    const { server, faults, events } = faulty;
    using client = await RawClient.connect(server);
    faults.failFrom("write", 1, "ENOSPC");
    await client.send(messages([["ks", "k", 1n]]));
    await waitUntil("the wait", () => events.includes(diskFull));
    test.directory.markFailed("a worker's sync failed", systemClock.wallMs());
    await assertRejects(() => server.failed, DirectoryFailedError, "a worker's sync failed");
    assertEquals(await client.connection.read(new Uint8Array(1)).catch(() => null), null);
    await assertRejects(() => server.stop(), DirectoryFailedError);
  }, { checks: false });
});

for (const sync of ["always", "interval", "os"] as const) {
  Deno.test(`With --sync ${sync} a frame that readers cannot be told of on a full disk is answered, and seen, when space returns`, async () => {
    // Story: the sync behind the frame met ENOSPC when it stored the live word, and the writer ended. With
    // --sync os readers did not see the frame until another one came.
    await withDataDirectory(async (test) => {
      using faulty = await startFaulty(test, { sync });
      const { server, faults, events } = faulty;
      using client = await RawClient.connect(server);
      await client.send(messages([["ks", "k", 1n]]));
      assertEquals(await client.receive(3), "WIN");
      using reader = new Reader(test.directory, {
        stale: false,
        clock: systemClock,
        events: noEvents,
      });
      const [keyspace, key] = ["ks", "k"].map((name) => new TextEncoder().encode(name));
      const value = () => reader.value(keyspace!, key!);
      assertEquals(await value(), 1n);

      const { position } = server.writer;
      faults.failFrom("write", 2, "ENOSPC");
      await client.send(messages([["ks", "k", 2n]]));
      await waitUntil("a few attempts", () => faults.failed >= 3);
      assert(server.writer.position > position, "the frame was written");
      assertEquals(await value(), 1n);
      assertEquals(events.filter((event) => event === diskFull).length, 1);

      faults.heal();
      assertEquals(await client.receive(3), "WIN");
      await waitUntil("the reader to see it", async () => await value() === 3n);
      await waitUntil("the event", () => events.includes("writing goes on"));
      assertEquals(await client.finish(), { answers: "", accepted: 2n, refused: 0n });
      await server.stop();
    });
  });
}

Deno.test("A writer that cannot tell readers of its last frame can be stopped on a full disk", async () => {
  await withDataDirectory(async (test) => {
    const { server, faults } = await startFaulty(test, { sync: "always" });
    using client = await RawClient.connect(server);
    faults.failFrom("write", 2, "ENOSPC");
    await client.send(messages([["ks", "k", 2n]]));
    await waitUntil("a few attempts", () => faults.failed >= 3);
    await server.stop();
    poolOn(test.directory).recoverAll();
    const log = takeSealed(test.directory, 0);
    assertEquals(recordsOf(log), ["ks k 2"]);
    log.release();
  });
});

Deno.test("A writer that cannot tell readers of its last frame ends when the directory is marked failed", async () => {
  // Story: the sync behind the frame waited for space to store the live word, whatever had become of the writer.
  // The directory was marked failed by another process, and the writer that should have ended waited for ever.
  await withDataDirectory(async (test) => {
    using faulty = await startFaulty(test, { sync: "always" });
    const { server, faults, events } = faulty;
    using client = await RawClient.connect(server);
    faults.failFrom("write", 2, "ENOSPC");
    await client.send(messages([["ks", "k", 2n]]));
    await waitUntil("the wait", () => events.includes(diskFull));
    test.directory.markFailed("a worker's sync failed", systemClock.wallMs());
    await assertRejects(() => server.failed, DirectoryFailedError, "a worker's sync failed");
    await assertRejects(
      () => within("the end of the server", server.stop()),
      DirectoryFailedError,
      "a worker's sync failed",
    );
    assertEquals(await client.connection.read(new Uint8Array(1)).catch(() => null), null);
  }, { checks: false });
});

/** Peers that take their replies slowly or not at all: what they cost, and what they get. */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { ReplyBuffers } from "../../../src/counters/read/reply_buffers.ts";
import { waitUntil, within } from "../../support/wait.ts";
import type { LivingDirectory } from "../view/living_directory.ts";
import { RequestSocket } from "./request_socket.ts";
import { counters, page, withServer } from "./served_directory.ts";

const longRows = 40_000;
/** Rows of a reply in which all keys are long. */
const longReplyBytes = longRows * (10 + 250);
/** Large enough for them. */
const logSize = 2 ** 24;

/** Folds counters whose rows take some 10 MB in one reply, more than the sockets hold. */
async function foldLongRows(living: LivingDirectory): Promise<void> {
  const all = Array.from({ length: longRows }, (_, at) => ({
    keyspace: "ks",
    key: `${at}`.padEnd(250, "x"),
    increment: BigInt(at + 1),
  }));
  for (let from = 0; from < all.length; from += 4000) {
    await living.write(all.slice(from, from + 4000));
  }
  await living.seal();
  await living.fold();
}

Deno.test("A peer that takes no replies is cut off after 30 s, and until then the others are served", async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => nowMs };
  await withServer(async (living, server, metrics) => {
    const all = counters("ks", 4000);
    await living.write(all);
    using stuck = await RequestSocket.connect(server.address);
    const many = new Uint8Array(272 * 400);
    for (let index = 0; index < 400; index++) many.set(page("ks", 0, 4000), index * 272);
    // Some 25 MB of replies, far more than the sockets hold.
    await stuck.send(many);
    using other = await RequestSocket.connect(server.address);
    await other.send(page("ks", 0, 1));
    assertEquals((await other.reply()).rows, 1);
    await waitUntil("the replies to stop", async () => {
      const before = metrics.counter("countd_bytes_total", "out").value;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return before > 0 && metrics.counter("countd_bytes_total", "out").value === before;
    });
    nowMs = 31_000;
    // Story: it was counted, but the write to it waited as long as the peer lived. It kept its place and its
    // part of the output budget, and was counted again each second.
    await waitUntil("the stalled connection to be closed", () => {
      return metrics.gauge("countd_connections").value === 1;
    });
    nowMs = 62_000;
    await systemClock.sleep(1100);
    assertEquals(metrics.counter("countd_connections_total", "stalled").value, 1);
    await other.send(page("ks", 0, 1));
    assertEquals((await other.reply()).rows, 1);
  }, { clock });
});

Deno.test("A server stops although a peer takes no replies", async () => {
  await withServer(async (living, server, metrics) => {
    await living.write(counters("ks", 4000));
    using stuck = await RequestSocket.connect(server.address);
    for (let index = 0; index < 400; index++) await stuck.send(page("ks", 0, 4000));
    await waitUntil("the replies to stop", async () => {
      const before = metrics.counter("countd_bytes_total", "out").value;
      await systemClock.sleep(100);
      return before > 0 && metrics.counter("countd_bytes_total", "out").value === before;
    });
    await within("the stop", server.stop(), { deadlineMs: 20_000 });
    assertEquals(metrics.gauge("countd_connections").value, 0);
  });
});

Deno.test("Peers that ask for large pages at once wait for each other, and all are answered", async () => {
  // Story: each connection checked the output budget, got its turn later, and built 10 MB. So the 64 MiB for
  // all together were not a bound for those that checked together.
  await withServer(async (living, server, metrics) => {
    await foldLongRows(living);
    const peers = 16;
    const sockets = await Promise.all(
      Array.from({ length: peers }, () => RequestSocket.connect(server.address)),
    );
    try {
      const request = page("ks", 0, longRows);
      await Promise.all(sockets.map((socket) => socket.send(request)));
      const bytesIn = metrics.counter("countd_bytes_total", "in");
      await waitUntil("all to be asked", () => bytesIn.value === peers * request.length);
      const answered = metrics.counter("countd_requests_total", "answered");
      const fit = Math.ceil(64 * 2 ** 20 / longReplyBytes);
      await waitUntil("what fits to be answered", () => answered.value >= fit);
      await new Promise((resolve) => setTimeout(resolve, 200));
      assertEquals(answered.value, fit, "one reply at most beyond the bound");
      const bodies = await Promise.all(sockets.map(async (socket) => (await socket.reply()).body));
      assertEquals(bodies.map(({ length }) => length), sockets.map(() => longReplyBytes));
      assertEquals(answered.value, peers);
    } finally {
      for (const socket of sockets) socket[Symbol.dispose]();
    }
  }, { logSize });
});

Deno.test("Peers that take no large replies do not keep one from another peer", async () => {
  let movedMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + movedMs };
  await withServer(async (living, server, metrics) => {
    await foldLongRows(living);
    const answered = metrics.counter("countd_requests_total", "answered");
    const stalled = metrics.counter("countd_connections_total", "stalled");
    const fit = Math.ceil(64 * 2 ** 20 / longReplyBytes);
    const stuck: RequestSocket[] = [];
    try {
      for (let index = 0; index < fit; index++) {
        stuck.push(await RequestSocket.connect(server.address));
        await stuck[index]!.send(page("ks", 0, longRows));
        await waitUntil("the reply", () => answered.value === index + 1);
      }
      await systemClock.sleep(1200);
      // No other peer waits, so they may take their time.
      assertEquals(stalled.value, 0);
      using good = await RequestSocket.connect(server.address);
      await good.send(page("ks", 0, 4000));
      await systemClock.sleep(200);
      assertEquals(answered.value, fit);
      movedMs = 6000;
      assertEquals((await good.reply()).rows, 4000);
      assertEquals(stalled.value, 1);
    } finally {
      for (const socket of stuck) socket[Symbol.dispose]();
    }
  }, { logSize, clock });
});

Deno.test("A server that stops sends its replies whole, and closes idle connections at once", async () => {
  // Story: a clean stop cut a reply off in its middle, because its request counted as answered when the reply
  // was built, long before it was sent.
  const clock: Clock = {
    ...systemClock,
    // The stop must not reach its time limit on a busy machine.
    sleep: (timeMs, signal) => systemClock.sleep(30 * timeMs, signal),
  };
  await withServer(async (living, server, metrics) => {
    await foldLongRows(living);
    using idle = await RequestSocket.connect(server.address);
    using busy = await RequestSocket.connect(server.address);
    using eager = await RequestSocket.connect(server.address);
    await busy.send(page("ks", 0, longRows));
    // Far more requests than the server reads at a time: most are unread when it stops.
    const small = page("ks", 0, 1);
    const many = new Uint8Array(1000 * small.length);
    for (let at = 0; at < many.length; at += small.length) many.set(small, at);
    many.set(page("ks", 0, longRows));
    await eager.send(many);
    const answered = metrics.counter("countd_requests_total", "answered");
    await waitUntil("both long replies to be begun", () => answered.value === 2);
    const stopping = server.stop();
    assertEquals(await idle.some(), null);
    assertEquals((await busy.reply()).body.length, longReplyBytes);
    assertEquals(await busy.some(), null);
    busy[Symbol.dispose]();
    assertEquals((await eager.reply()).body.length, longReplyBytes);
    let bytes = 0;
    for (let some = await eager.some(); some !== null; some = await eager.some()) {
      bytes += some.length;
    }
    assertEquals(bytes % (24 + 10 + 250), 0, "whole replies");
    assert(bytes < many.length, "some requests were not read before the stop");
    eager[Symbol.dispose]();
    await stopping;
  }, { logSize, clock });
});

Deno.test("Connections that are idle hold no buffer of replies, whatever they have asked for", async () => {
  // Story: each kept a buffer of up to a MiB as long as it was open.
  const { take, giveBack } = ReplyBuffers.prototype;
  const taken = new Set<unknown>();
  const made = new Set<unknown>();
  ReplyBuffers.prototype.take = function () {
    const buffer = take.call(this);
    taken.add(buffer);
    made.add(buffer);
    return buffer;
  };
  ReplyBuffers.prototype.giveBack = function (buffer) {
    giveBack.call(this, buffer);
    assertEquals(buffer.length, 0);
    taken.delete(buffer);
  };
  try {
    await withServer(async (living, server) => {
      await living.write(counters("ks", 2000));
      const sockets: RequestSocket[] = [];
      try {
        for (let index = 0; index < 20; index++) {
          const socket = await RequestSocket.connect(server.address);
          sockets.push(socket);
          await socket.send(page("ks", 0, 2000));
          assertEquals((await socket.reply()).rows, 2000);
          await waitUntil("the buffer", () => taken.size === 0);
        }
        assertEquals(made.size, 1);
      } finally {
        for (const socket of sockets) socket[Symbol.dispose]();
      }
    });
  } finally {
    Object.assign(ReplyBuffers.prototype, { take, giveBack });
  }
});

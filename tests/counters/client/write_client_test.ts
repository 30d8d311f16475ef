import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { ConnectError } from "../../../src/base/errors.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { WriteClient } from "../../../src/counters/client/mod.ts";
import { DEFAULT_SIZES, encodeTotals } from "../../../src/counters/wire/mod.ts";
import { withDataDirectory } from "../../support/data_directory.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { startServer } from "../write/support.ts";

const text = new TextEncoder();

/** A server that hands its one connection to `serve`. */
async function withPeer(
  serve: (connection: Deno.TcpConn) => Promise<void>,
  body: (address: Deno.NetAddr) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    using connection = await listener.accept();
    await serve(connection);
  })();
  await body(listener.addr as Deno.NetAddr);
  await within("the end of the peer", served);
}

async function readToEnd(connection: Deno.TcpConn): Promise<number> {
  const buffer = new Uint8Array(65_536);
  let bytes = 0;
  while (true) {
    const count = await connection.read(buffer);
    if (count === null) return bytes;
    bytes += count;
  }
}

Deno.test("A client reads answers while it sends, so that neither side waits for the other", async () => {
  const messages = 40_000;
  await withPeer(async (connection) => {
    // Stops reading while its answers are not taken, as a server with --ack does.
    const buffer = new Uint8Array(520 * 100);
    let pending = 0;
    for (let left = messages * 520; left > 0;) {
      const count = await connection.read(buffer) ?? 0;
      left -= count;
      pending += count;
      const answers = text.encode("WIN".repeat(Math.floor(pending / 520)));
      pending %= 520;
      for (let sent = 0; sent < answers.length;) {
        sent += await connection.write(answers.subarray(sent));
      }
    }
    await readToEnd(connection);
    await connection.write(encodeTotals({ accepted: BigInt(messages), refused: 0n }));
  }, async (address) => {
    using client = await WriteClient.connect(address, DEFAULT_SIZES);
    const [keyspace, key] = [text.encode("ks"), text.encode("k")];
    for (let message = 0; message < messages; message++) {
      await client.increment(keyspace, key, 1n);
    }
    assertEquals(await within("the totals", client.finish()), {
      accepted: BigInt(messages),
      refused: 0n,
    });
    assertEquals(client.answeredMessages, messages);
  });
});

Deno.test("If a connection ends without totals the error says what is not known", async () => {
  for (const farewell of ["", "WIN", "0123456789abcdef"]) {
    await withPeer(async (connection) => {
      await readToEnd(connection);
      if (farewell !== "") await connection.write(text.encode(farewell));
    }, async (address) => {
      using client = await WriteClient.connect(address, DEFAULT_SIZES);
      await client.increment(text.encode("ks"), text.encode("k"), 1n);
      const error = await assertRejects(() => client.finish(), ConnectError);
      assertEquals(/it is not known which of the 1 messages count/.test(error.message), true);
    });
  }
});

Deno.test("If a server falls silent the client stops waiting, and says what was acknowledged", async () => {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  await withPeer(async (connection) => {
    await connection.read(new Uint8Array(5 * 520));
    await connection.write(text.encode("WINWINNAY"));
    await over;
  }, async (address) => {
    using client = await WriteClient.connect(address, DEFAULT_SIZES, { silenceMs: 300 });
    for (let message = 0; message < 5; message++) {
      await client.increment(text.encode("ks"), text.encode("k"), 1n);
    }
    const error = await assertRejects(() => client.finish(), ConnectError);
    assertEquals(
      /took and sent nothing for 0\.3 s.*of 5 messages 2 were acknowledged and 1 refused, and it is not known which of the others count/
        .test(error.message),
      true,
      error.message,
    );
    resolve();
  });
});

Deno.test("A client that waits for its own input does not blame the server", async () => {
  await withPeer(async (connection) => {
    await readToEnd(connection);
    await connection.write(encodeTotals({ accepted: 2n, refused: 0n }));
  }, async (address) => {
    using client = await WriteClient.connect(address, DEFAULT_SIZES, { silenceMs: 100 });
    for (let message = 0; message < 2; message++) {
      await client.increment(text.encode("ks"), text.encode("k"), 1n);
      await client.flush();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assertEquals((await client.finish()).accepted, 2n);
  });
});

// Story: increments filled the memory of a send that had not ended. Some arrived twice and some never, and
// the totals agreed.
Deno.test("Increments that overlap arrive once each", async () => {
  const messages = 20_000;
  const seen = new Map<string, number>();
  await withPeer(async (connection) => {
    // Nothing is read until the sockets are full.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const all = new Uint8Array(messages * 520);
    for (let filled = 0; filled < all.length;) {
      filled += await connection.read(all.subarray(filled)) ?? all.length;
    }
    for (let start = 0; start < all.length; start += 520) {
      const key = String(all.subarray(start + 264, start + 520));
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    await readToEnd(connection);
    await connection.write(encodeTotals({ accepted: BigInt(messages), refused: 0n }));
  }, async (address) => {
    using client = await WriteClient.connect(address, DEFAULT_SIZES);
    const keyspace = text.encode("ks");
    await Promise.all(
      Array.from(
        { length: messages },
        (_, index) => client.increment(keyspace, text.encode(`k${index}`), 1n),
      ),
    );
    assertEquals((await within("the totals", client.finish())).accepted, BigInt(messages));
  });
  assertEquals(seen.size, messages);
});

Deno.test("A client sends nothing more to a server that has ended its sending side", async () => {
  // Story: a server that stopped took 5 s of increments of `load` and dropped them.
  let received = 0;
  await withPeer(async (connection) => {
    received = await connection.read(new Uint8Array(520)) ?? 0;
    await connection.closeWrite();
    received += await readToEnd(connection);
  }, async (address) => {
    using client = await WriteClient.connect(address, DEFAULT_SIZES);
    const [keyspace, key] = [text.encode("ks"), text.encode("k")];
    await client.increment(keyspace, key, 1n);
    await client.flush();
    const sending = assertRejects(async () => {
      while (true) {
        await client.increment(keyspace, key, 1n);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }, ConnectError);
    await within("the client", sending);
  });
  assert(received < 2 ** 24, `${received} bytes were sent`);
});

Deno.test("A client whose first increment comes late sends it on a new connection", async () => {
  // Story: `sort | countd load` connected, and the first line came after the server had ended the connection.
  for (const isLate of [true, false]) {
    let movedMs = 0;
    const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + movedMs };
    await withDataDirectory(async ({ open }) => {
      const metrics = new Metrics();
      const server = await startServer(open(), {}, { metrics, clock });
      using client = await WriteClient.connect(server.address, DEFAULT_SIZES);
      using empty = await WriteClient.connect(server.address, DEFAULT_SIZES);
      const opened = metrics.counter("countd_connections_total", "accepted");
      await waitUntil("two connections", () => opened.value === 2);
      if (isLate) {
        movedMs = 31_000;
        const silent = metrics.counter("countd_connections_total", "silent");
        await waitUntil("the end of both", () => silent.value === 2);
      }
      const add = () => client.increment(text.encode("ks"), text.encode("k"), 1n);
      await add();
      await client.flush();
      await add();
      assertEquals(await client.finish(), { accepted: 2n, refused: 0n });
      assertEquals(await empty.finish(), { accepted: 0n, refused: 0n });
      assertEquals(opened.value, isLate ? 4 : 2);
      await server.stop();
    });
  }
});

/** Batches from a client of its own, through the processes of countd and back by the read port. */

import { assert, assertEquals } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { FullCount } from "../support/full_count.ts";
import { type CountdProcess, runCountd, startCountd } from "../support/process.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import {
  batchOf,
  connectWithHello,
  hello,
  introduction,
  type PlainIncrement,
  receiveAnswer,
  receiveTaken,
} from "./plain_batches.ts";
import {
  askPage,
  increment,
  joined,
  pageRequest,
  rankRequest,
  receive,
  sendAll,
  sendIncrements,
} from "./plain_messages.ts";

const hostname = "127.0.0.1";

/** The value of a key, 0 if there is none, by the read port. */
async function valueOf(connection: Deno.TcpConn, keyspace: string, key: string): Promise<bigint> {
  await sendAll(connection, rankRequest(keyspace, key));
  const head = await receive(connection, 24);
  const body = await receive(connection, Number(head.getBigInt64(16, true)));
  return head.getBigInt64(8, true) === 0n ? 0n : body.getBigInt64(8, true);
}

/** Sends bytes in segments cut at random places. */
async function sendInPieces(connection: Deno.TcpConn, bytes: Uint8Array, random: Random) {
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(bytes.length, start + random.between(1, 40_000));
    await sendAll(connection, bytes.subarray(start, end));
    start = end;
  }
}

Deno.test("Random batches over 8 connections, 2 writers and 2 workers sum exactly", async () => {
  const random = new Random(seedForTest("random batches"));
  const sums = new Map<string, bigint>();
  const connections = Array.from({ length: 8 }, () => {
    const batches: Uint8Array[] = [];
    for (let sequence = 1; sequence <= 60; sequence++) {
      const increments: PlainIncrement[] = [];
      for (let count = random.pick([0, 1, 10, 100, 2000]); count > 0; count--) {
        const [keyspace, key] = [`ks${random.below(5)}`, `${random.below(300)}`];
        const by = BigInt(random.between(1, 1000)) * (random.chance(0.2) ? -1n : 1n);
        increments.push([keyspace, key, by]);
        sums.set(`${keyspace} ${key}`, (sums.get(`${keyspace} ${key}`) ?? 0n) + by);
      }
      batches.push(batchOf(sequence, increments));
    }
    return { bytes: joined(batches), last: batches.length };
  });
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    // Small logs, so that batches of 64 KB are more than a few to a log, and folds happen.
    const options = ["--data", data, "--port", "0", "--log-size", "1MiB"];
    await using first = startCountd(["write", ...options]);
    const ports = [(await first.listening()).port];
    await using second = startCountd(["write", ...options]);
    ports.push((await second.listening()).port);
    await using worker = startCountd(["worker", "--data", data]);
    await using other = startCountd(["worker", "--data", data]);
    await using read = startCountd(["read", "--data", data, "--port", "0"]);
    const { port: readPort } = await read.listening();
    await Promise.all(connections.map(async ({ bytes, last }, index) => {
      const { connection } = await connectWithHello(ports[index % 2]!);
      using _ = connection;
      const taken = receiveTaken(connection, last);
      await sendInPieces(connection, bytes, random);
      await taken;
    }));
    const { connection, status } = await connectWithHello(readPort, { flags: 2 });
    using _ = connection;
    assertEquals(status, 0);
    for (const [name, sum] of sums) {
      const [keyspace, key] = name.split(" ");
      assertEquals(await valueOf(connection, keyspace!, key!), sum, name);
    }
    connection.close();
    for (const process of [first, second, worker, other, read]) {
      assertEquals(await process.stop(), 0);
    }
    await checkData(data);
  });
});

Deno.test("After kill -9 every batch counts whole or not, and each that was answered counts", async () => {
  const random = new Random(seedForTest("batches and kill -9"));
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const names = ["a", "b", "c", "d"];
    const sent = new Map(names.map((name) => [name, 0n]));
    const answered = new Map(names.map((name) => [name, 0n]));
    const start = () =>
      startCountd(["write", "--data", data, "--port", "0", "--log-size", "256KiB"]);
    for (let round = 0; round < 3; round++) {
      await using write = start();
      const { port } = await write.listening();
      const clients = names.map((name) => load(port, name, { sent, answered }));
      await new Promise((resolve) => setTimeout(resolve, random.between(150, 600)));
      await write.kill();
      await Promise.all(clients);
    }
    await using read = startCountd(["read", "--data", data, "--port", "0"]);
    using connection = await Deno.connect({ hostname, port: (await read.listening()).port });
    let total = 0n;
    for (const name of names) {
      const batches = await valueOf(connection, "batches", name);
      const [least, most] = [answered.get(name)!, sent.get(name)!];
      assert(least <= batches && batches <= most, `${name}: ${least} ${batches} ${most}`);
      // The other half of each batch.
      assertEquals(await valueOf(connection, "twice", name), 2n * batches);
      total += least;
    }
    console.log(`${total} batches were answered`);
    assert(total > 0n);
    assertEquals(await read.stop(), 0);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await checkData(data);
  });
});

/** Sends batches until the server is gone. */
async function load(
  port: number,
  name: string,
  { sent, answered }: {
    readonly sent: Map<string, bigint>;
    readonly answered: Map<string, bigint>;
  },
): Promise<void> {
  const { connection } = await connectWithHello(port);
  using _ = connection;
  let last = 0;
  const reading = (async () => {
    while (true) {
      const [sequence, status] = await receiveAnswer(connection);
      assertEquals(status, 0);
      answered.set(name, answered.get(name)! + BigInt(sequence - last));
      last = sequence;
    }
  })().catch((error) => {
    if (/AssertionError/.test(String(error))) throw error;
  });
  try {
    for (let sequence = 1;; sequence++) {
      sent.set(name, sent.get(name)! + 1n);
      await sendAll(connection, batchOf(sequence, [["batches", name, 1n], ["twice", name, 2n]]));
      // Some batches are under way, but the reading is not starved.
      if (sequence % 32 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } catch {
    // The server was killed.
  }
  await reading;
}

/** Runs `body` beside `countd serve`, and `countd check` at the end. */
async function withServe(
  body: (ports: { write: number; read: number }, serve: CountdProcess) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const ports = ["--write-port", "0", "--read-port", "0"];
    await using serve = startCountd(["serve", "--data", data, ...ports]);
    await body({
      write: (await serve.listening("write")).port,
      read: (await serve.listening("read")).port,
    }, serve);
    assertEquals(await serve.stop(), 0);
    await checkData(data);
  });
}

Deno.test("Each port says in its welcome what it takes, and refuses the rest", async () => {
  await withServe(async ({ write, read }, serve) => {
    for (const [port, takes, flags] of [[write, 1, 2], [read, 2, 0]] as const) {
      const { connection, welcome, status } = await connectWithHello(port, { flags });
      using _ = connection;
      assertEquals(new TextDecoder().decode(new Uint8Array(welcome.buffer, 0, 8)), "countd2\n");
      assertEquals([welcome.getUint32(28, true), status], [takes, 4]);
      assertEquals(await connection.read(new Uint8Array(1)), null);
    }
    await serve.stderrLine(/client is refused.*it has requests, and this port takes batches/);
    await serve.stderrLine(/client is refused.*it has batches, and this port takes requests/);
    const { connection } = await connectWithHello(write, { keySize: 32 });
    using _ = connection;
    await serve.stderrLine(/its keyspace and key sizes are 256 and 32, not 256 and 256/);
  });
});

Deno.test("A keyspace whose name begins a hello is read as before, and after a hello", async () => {
  await withServe(async ({ write, read }) => {
    const name = "countd2\n";
    assertEquals(await sendIncrements(write, [increment(name, "k", 7n)]), 1n);
    using plain = await Deno.connect({ hostname, port: read });
    assertEquals(await askPage(plain, pageRequest(name, 1)), { total: 1n, rows: 1n });
    // As the first request it may be a hello, until the input ends: the request of old clients for its size.
    using size = await Deno.connect({ hostname, port: read });
    await sendAll(size, pageRequest(name, 0));
    await size.closeWrite();
    assertEquals((await receive(size, 24)).getBigInt64(0, true), 1n);
    const { connection } = await connectWithHello(read, { flags: 2 });
    using _ = connection;
    assertEquals(await askPage(connection, pageRequest(name, 0)), { total: 1n, rows: 0n });
    assertEquals(await valueOf(connection, name, "k"), 7n);
  });
});

const count = new FullCount("mutated batch streams");

Deno.test("No mutated stream of batches ends the server, holds it, or counts what was not sent", async () => {
  const random = new Random(seedForTest("mutated batch streams"));
  const rounds = count.rounds(200, 100_000);
  await withServe(async ({ write, read }) => {
    let answered = 0n;
    let sent = 0n;
    const sending = Array.from({ length: 8 }, async () => {
      for (const _ of rounds) {
        const batches = Array.from(
          { length: random.between(1, 6) },
          (_, index) => batchOf(index + 1, [["good", "key", 1n], ["good", "twice", 2n]]),
        );
        const bytes = joined([hello(), introduction(), ...batches]);
        // Behind the hello: before it, other bytes are other messages.
        const mutated = new Set<number>();
        for (let changes = random.below(3); changes > 0; changes--) {
          const at = random.between(520, bytes.length - 1);
          const batch = Math.floor((at - 776) / batches[0]!.length);
          // A second change could undo the first.
          if (mutated.has(batch)) continue;
          bytes[at]! ^= 1 << random.below(8);
          mutated.add(batch);
        }
        sent += BigInt(batches.filter((_, index) => !mutated.has(index)).length);
        const taken = await takenOf(write, bytes, random);
        answered += BigInt(taken);
      }
    });
    await Promise.all(sending);
    using connection = await Deno.connect({ hostname, port: read });
    const value = await valueOf(connection, "good", "key");
    console.log(`${answered} batches answered, ${value} counted, ${sent} sent whole`);
    assert(answered > 0n && answered <= value && value <= sent, `${answered} ${value} ${sent}`);
    assertEquals(await valueOf(connection, "good", "twice"), 2n * value);
    // The list of keyspaces.
    const list = rankRequest("", "");
    list[264] = 2;
    assertEquals(await askPage(connection, list), { total: 1n, rows: 1n });
    assertEquals(await askPage(connection, pageRequest("good", 9)), { total: 2n, rows: 2n });
    connection.close();
  });
});

/** Sends a stream, perhaps only a part of it, and returns how many batches were answered as taken. */
async function takenOf(port: number, bytes: Uint8Array, random: Random): Promise<number> {
  using connection = await Deno.connect({ hostname, port });
  const end = random.chance(0.2) ? random.below(bytes.length) : bytes.length;
  const stays = random.chance(0.1);
  const got: number[] = [];
  try {
    await sendInPieces(connection, bytes.subarray(0, end), random);
    if (stays) return 0;
    await connection.closeWrite();
    const buffer = new Uint8Array(4096);
    for (;;) {
      const more = await connection.read(buffer);
      if (more === null) break;
      got.push(...buffer.subarray(0, more));
    }
  } catch {
    // The server may end the connection at any byte.
  }
  // Welcome and admission, then answers.
  let taken = 0;
  const view = new DataView(Uint8Array.from(got).buffer);
  for (let at = 128; at + 24 <= got.length; at += 24) {
    if (view.getUint32(at + 8, true) === 0) taken = Number(view.getBigUint64(at, true));
  }
  return taken;
}

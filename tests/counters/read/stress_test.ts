import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { ReadClient } from "../../../src/counters/client/mod.ts";
import { DataDirectory, describeSelf } from "../../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import { DEFAULT_SIZES, type Row, WriteMessageEncoder } from "../../../src/counters/wire/mod.ts";
import { type CountdProcess, runCountd, startCountd } from "../../support/process.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { assertWholeDirectory } from "../view/check_directory.ts";
import { latin1Bytes, latin1Text } from "../view/plain_base.ts";

const SHARED = latin1Bytes("shared");

/** The reading methods that clients and the reader in this process have in common. */
interface Source {
  page(
    keyspace: Uint8Array,
    range: { offset: number; length: number },
  ): Promise<{ total: number; rows: readonly Row[] }>;
  key(keyspace: Uint8Array, key: Uint8Array): Promise<{ value: bigint } | null>;
}

/** A client that writes to keys of its own, waits for WIN, and must then read exactly what it wrote. */
class Owner {
  readonly own = new Map<string, bigint>();
  /** What all owners together were promised, and what they sent. */
  static promised = 0n;
  static sent = 0n;
  readonly #encoder = new WriteMessageEncoder(DEFAULT_SIZES);

  constructor(
    readonly name: string,
    readonly connection: Deno.TcpConn,
    readonly random: Random,
  ) {}

  async writeSome(): Promise<void> {
    const count = this.random.between(1, 60);
    const bytes = new Uint8Array(2 * count * 520);
    const view = new DataView(bytes.buffer);
    let sum = 0n;
    for (let index = 0; index < count; index++) {
      const key = `${this.name}-${this.random.below(40)}`;
      const increment = BigInt(this.random.between(1, 9));
      const named = { key: latin1Bytes(key), increment };
      this.#encoder.encode(view, 2 * index * 520, { keyspace: latin1Bytes("own"), ...named });
      this.#encoder.encode(view, (2 * index + 1) * 520, { keyspace: SHARED, ...named });
      this.own.set(key, (this.own.get(key) ?? 0n) + increment);
      sum += increment;
    }
    Owner.sent += sum;
    const answers = this.#read(2 * count * 3);
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.connection.write(bytes.subarray(sent));
    }
    assertEquals(latin1Text(await within("answers", answers)), "WIN".repeat(2 * count));
    Owner.promised += sum;
  }

  async #read(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      const more = await this.connection.read(bytes.subarray(filled));
      if (more === null) throw new Error("The writer closed the connection");
      filled += more;
    }
    return bytes;
  }

  /** Reads one of its own keys, and now and then all of them. */
  async readBack(source: Source): Promise<void> {
    const [key, value] = this.random.pick([...this.own]);
    const found = await source.key(latin1Bytes("own"), latin1Bytes(key));
    assertEquals([key, found?.value], [key, value]);
    if (!this.random.chance(0.3)) return;
    const { rows } = await source.page(latin1Bytes("own"), { offset: 0, length: 10_000 });
    const mine = new Map(
      rows.map((row): [string, bigint] => [latin1Text(row.key), row.value])
        .filter(([key]) => key.startsWith(`${this.name}-`)),
    );
    assertEquals(mine, this.own);
  }
}

/** Every page is whole, in order, without duplicates, and has all that was acknowledged before. */
async function watch(source: Source, isOver: () => boolean): Promise<number> {
  let before = 0n;
  let reads = 0;
  while (!isOver()) {
    const promised = Owner.promised;
    const { total, rows } = await source.page(SHARED, { offset: 0, length: 10_000 });
    assertEquals(rows.length, total);
    let sum = 0n;
    rows.forEach(({ key, value }, index) => {
      sum += value;
      const last = rows[index - 1];
      if (last === undefined) return;
      const isInOrder = last.value > value ||
        last.value === value && latin1Text(last.key) < latin1Text(key);
      assert(isInOrder, `Row ${index} is out of order`);
    });
    assertEquals(new Set(rows.map(({ key }) => latin1Text(key))).size, rows.length);
    assert(sum >= before, `A sum went back: ${before}, then ${sum}`);
    assert(sum >= promised, `${sum} read after ${promised} was promised`);
    assert(sum <= Owner.sent, `${sum} read when only ${Owner.sent} was sent`);
    before = sum;
    reads++;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return reads;
}

/** Kills a worker again and again, and starts the next. */
async function tormentWorkers(
  data: string,
  random: Random,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    await using worker: CountdProcess = startCountd(["worker", "--data", data]);
    await worker.stderrLine(/worker ready/);
    const end = performance.now() + random.between(50, 600);
    await waitUntil("the time of the worker", () => isOver() || performance.now() > end);
    await worker.kill();
  }
}

const stress = new FullCount("read stress");

Deno.test("A client reads what it was answered WIN for, while two write, workers die and logs are reused", async () => {
  const random = new Random(seedForTest("read stress"));
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    Owner.promised = Owner.sent = 0n;
    const options = ["--data", data, "--port", "0", "--ack", "--log-size", "65536"];
    await using first = startCountd(["write", ...options, "--seal-after", "50ms"]);
    const ports = [(await first.listening()).port];
    await using second = startCountd(["write", ...options, "--sync", "os"]);
    ports.push((await second.listening()).port);
    await using server = startCountd(["read", "--data", data, "--port", "0"]);
    const readPort = (await server.listening()).port;

    const storage = systemStorage();
    using opened = DataDirectory.open(storage, data, { self: describeSelf(storage) });
    using reader = new Reader(opened, { stale: false, clock: systemClock, events: noEvents });
    const address = { hostname: "127.0.0.1", port: readPort };

    let isOver = false;
    const workers = tormentWorkers(data, random, () => isOver);
    using watcher = await ReadClient.connect(address, DEFAULT_SIZES);
    const watching = [watch(watcher, () => isOver), watch(reader, () => isOver)];
    const rounds = stress.rounds(4 * 60, 4 * 3000);
    const owners = Array.from({ length: 4 }, async (_, index) => {
      using connection = await Deno.connect({
        hostname: "127.0.0.1",
        port: ports[index % ports.length]!,
      });
      using client = await ReadClient.connect(address, DEFAULT_SIZES);
      const owner = new Owner(`owner${index}`, connection, new Random(random.next32()));
      for (const _ of rounds) {
        await owner.writeSome();
        await owner.readBack(random.chance(0.7) ? client : reader);
      }
      return owner.own;
    });
    let all: Map<string, bigint>[];
    try {
      all = await within("all owners", Promise.race([Promise.all(owners), failure(watching)]), {
        deadlineMs: 600_000,
      });
    } finally {
      isOver = true;
    }
    const reads = await Promise.all(watching);
    assert(reads.every((count) => count > 0), "The watchers have read");
    await workers;

    assertEquals(await first.stop(), 0);
    assertEquals(await second.stop(), 0);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    using stale = new Reader(opened, { stale: true, clock: systemClock, events: noEvents });
    for (const source of [stale, reader, watcher]) {
      for (const keyspace of ["own", "shared"]) {
        const { rows } = await source.page(latin1Bytes(keyspace), { offset: 0, length: 10_000 });
        assertEquals(
          new Map(rows.map((row): [string, bigint] => [latin1Text(row.key), row.value])),
          new Map(all.flatMap((own) => [...own])),
        );
      }
    }
    assertEquals(await server.stop(), 0);
    assertWholeDirectory(data);
  });
});

/** Rejects when one of the watchers does; never resolves. */
function failure(watching: Promise<number>[]): Promise<never> {
  return new Promise((_, reject) => {
    for (const watcher of watching) watcher.catch(reject);
  });
}

Deno.test("An ordinary user reads sealed logs whose mode forbids it", async () => {
  await withTemporaryDirectory(async (directory) => {
    // The ordinary user needs access to the directory.
    Deno.chmodSync(directory, 0o777);
    const data = `${directory}/data`;
    const as = { as: "ordinary" } as const;
    await using writer = startCountd(["write", "--data", data, "--port", "0"], as);
    const to = ["--connect", `127.0.0.1:${(await writer.listening()).port}`];
    assertEquals((await runCountd(["incr", "ks", "k", "5", ...to])).code, 0);
    assertEquals(await writer.stop(), 0);
    assertEquals(Deno.statSync(`${data}/logs/0000000000`).mode! & 0o777, 0o200);
    const top = await runCountd(["top", "ks", "--data", data], as);
    assertEquals([top.code, top.text, top.stderr], [0, "5\tk\n", ""]);
    // The mode is as it was.
    assertEquals(Deno.statSync(`${data}/logs/0000000000`).mode! & 0o777, 0o200);
    assertEquals((await runCountd(["worker", "--once", "--data", data], as)).code, 0);
    const get = await runCountd(["get", "ks", "k", "--data", data, "--stale"], as);
    assertEquals([get.code, get.text], [0, "5\n"]);
    assertWholeDirectory(data);
  });
});

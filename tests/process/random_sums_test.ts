/**
 * The acceptance test that the first countd only sketched. Random parts, whose sum is the number of the
 * key, are sent over many connections in random segments, to two writers and two workers.
 */

import { assertEquals } from "@std/assert";
import { WriteMessageEncoder } from "../../src/counters/wire/mod.ts";
import { checkData } from "../support/check_data.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const keyspaces = 10;
const keys = 1000;
const connections = 8;
const rounds = 10;

interface Part {
  readonly keyspace: string;
  readonly key: string;
  readonly increment: bigint;
}

/** Makes a few parts, some negative, whose sum is the number of the key. Key 0 has none. */
function partsOf(random: Random): Part[] {
  const parts: Part[] = [];
  for (let keyspace = 0; keyspace < keyspaces; keyspace++) {
    for (let key = 1; key < keys; key++) {
      let rest = key;
      for (let count = random.below(3); count > 0; count--) {
        const part = random.between(-key, key) || 1;
        parts.push({ keyspace: `ks${keyspace}`, key: `${key}`, increment: BigInt(part) });
        rest -= part;
      }
      if (rest !== 0) {
        parts.push({ keyspace: `ks${keyspace}`, key: `${key}`, increment: BigInt(rest) });
      }
    }
  }
  return random.shuffle(parts);
}

function encode(parts: readonly Part[]): Uint8Array {
  const encoder = new WriteMessageEncoder({ keyspaceSize: 256, keySize: 256 });
  const text = new TextEncoder();
  const bytes = new Uint8Array(parts.length * encoder.messageBytes);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const { keyspace, key, increment } of parts) {
    offset = encoder.encode(view, offset, {
      keyspace: text.encode(keyspace),
      key: text.encode(key),
      increment,
    });
  }
  return bytes;
}

/** Sends all bytes in segments cut at random places, then reads the totals. */
async function send(port: number, bytes: Uint8Array, random: Random): Promise<bigint[]> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  let start = 0;
  while (start < bytes.length) {
    const end = Math.min(bytes.length, start + random.between(1, 20_000));
    while (start < end) start += await connection.write(bytes.subarray(start, end));
  }
  await connection.closeWrite();
  const totals = new Uint8Array(16);
  let read = 0;
  while (read < 16) {
    const more = await connection.read(totals.subarray(read));
    if (more === null) throw new Error(`The connection ended after ${read} bytes of totals`);
    read += more;
  }
  const view = new DataView(totals.buffer);
  return [view.getBigInt64(0, true), view.getBigInt64(8, true)];
}

Deno.test("Random parts over 8 connections, 2 writers and 2 workers sum exactly", async () => {
  const random = new Random(seedForTest("random sums"));
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const options = ["--data", data, "--port", "0", "--log-size", "1MiB"];
    await using first = startCountd(["write", ...options]);
    await first.listening();
    await using second = startCountd(["write", ...options]);
    await using worker = startCountd(["worker", "--data", data]);
    await using standby = startCountd(["worker", "--data", data]);
    const ports = [(await first.listening()).port, (await second.listening()).port];
    for (const one of [worker, standby]) await one.stderrLine(/worker ready/);

    for (let round = 1; round <= rounds; round++) {
      const parts = partsOf(random);
      const shares = Array.from(
        { length: connections },
        (_, index) => parts.filter((_, at) => at % connections === index),
      );
      const totals = await Promise.all(shares.map((share, index) => {
        const own = new Random(random.next32());
        return send(ports[index % 2] ?? 0, encode(share), own);
      }));
      assertEquals(totals, shares.map((share) => [BigInt(share.length), 0n]));
      await assertSums(data, round); // some folded, some still in the logs
    }
    for (const one of [first, second]) assertEquals(await one.stop(), 0);
    for (const one of [worker, standby]) assertEquals(await one.stop(), 0);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await assertSums(data, rounds, "--stale");
    checkData(data);
  });
});

/** Asserts that after n rounds key i of every keyspace has the value n·i, in the right order. */
async function assertSums(data: string, round: number, ...more: string[]): Promise<void> {
  const expected = Array.from({ length: keys - 1 }, (_, index) => keys - 1 - index)
    .map((key) => `${key * round}\t${key}\n`).join("");
  for (let keyspace = 0; keyspace < keyspaces; keyspace++) {
    const name = `ks${keyspace}`;
    const top = await runCountd(["top", name, "--length", "2000", "--data", data, ...more]);
    assertEquals([top.code, top.text], [0, expected], `round ${round}, ${name}`);
  }
}

/**
 * Random, mutated and structured streams on every port. No stream ends a daemon, delays a client for long, or
 * leaves anything behind. A normal run sends some hundred to each port; the full count is 20,000.
 */

import { assert, assertEquals } from "@std/assert";
import { batch, batchOf, hello, introduction } from "../process/plain_batches.ts";
import { increment, joined, pageRequest, rankRequest } from "../process/plain_messages.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { within } from "../support/wait.ts";
import type { Port } from "./ports.ts";
import { connect, httpPost, pause, text } from "./raw.ts";
import { assertServed, GoodClient, World } from "./world.ts";

/** Streams that are under way at the same time. */
const AT_ONCE = 16;

/** Bytes of one connection. */
function streamOf(port: Port, random: Random): Uint8Array {
  const kind = random.below(4);
  if (kind === 0) return random.bytes(random.below(3000));
  const whole = structured(port, random);
  if (kind === 1) return whole;
  if (kind === 2) return whole.subarray(0, random.below(whole.length + 1));
  const mutated = whole.slice();
  for (let change = random.between(1, 20); change > 0 && mutated.length > 0; change--) {
    const at = random.below(mutated.length);
    mutated[at] = random.pick([0, 0xff, 0x0a, 0x0d, 0x20, random.below(256)]);
  }
  return mutated;
}

function structured(port: Port, random: Random): Uint8Array {
  const parts = Array.from({ length: random.between(1, 5) }, () => {
    if (port.protocol === "write") return write(random);
    if (port.protocol === "read") return read(random);
    return http(port, random);
  });
  if (port.protocol === "http" || random.chance(0.6)) return joined(parts);
  if (port.protocol === "read") return joined([hello(), introduction({ flags: 2 }), ...parts]);
  const batches = Array.from({ length: random.between(1, 5) }, (_, index) => {
    if (random.chance(0.1)) return batch(index + 1, random.bytes(24), { counters: 1 });
    return batchOf(index + 1, [[random.pick(NAMES.slice(2)), random.pick(NAMES), 1n]]);
  });
  return joined([hello(), introduction(), ...batches]);
}

const NAMES = ["", "good", "pages", "x".repeat(255), "a/b", "\u{1f600}", ".", "..", "\x01"];

function write(random: Random): Uint8Array {
  const bytes = increment(random.pick(NAMES), random.pick(NAMES), random.bigInt64());
  // The keyspace of the good client keeps its one counter.
  if (new TextDecoder().decode(bytes.subarray(8, 12)) === "good") bytes[12] = 0x32;
  return bytes;
}

function read(random: Random): Uint8Array {
  if (random.chance(0.3)) return rankRequest(random.pick(NAMES), random.pick(NAMES));
  const bytes = pageRequest(random.pick(NAMES), random.below(100));
  const view = new DataView(bytes.buffer);
  const numbers = [0n, 1n, -1n, 2n, -(2n ** 63n), 2n ** 63n - 1n, random.bigInt64()];
  view.setBigInt64(256, random.pick(numbers), true);
  if (random.chance(0.5)) view.setBigInt64(264, random.pick(numbers), true);
  return bytes;
}

function http({ path = "/", formPath }: Port, random: Random): Uint8Array {
  if (formPath === undefined || random.chance(0.4)) {
    const paths = [path, "/", "*", "//", "/%2e%2e/x", "/get/%ff", "/log?from=-1", "/log?limit=1e9"];
    const versions = ["HTTP/1.1", "HTTP/1.0", "HTTP/9.9", ""];
    const headers = [
      "Host: localhost",
      "Host: evil.example",
      "Host: a/b?c",
      "Transfer-Encoding: chunked",
      "Content-Length: 5",
      "Content-Length: -1",
      `X: ${"y".repeat(random.below(20_000))}`,
      "Expect: 100-continue",
      "Connection: Upgrade\r\nUpgrade: websocket",
    ];
    const lines = Array.from({ length: random.below(4) }, () => random.pick(headers));
    const method = random.pick(["GET", "HEAD", "POST", "OPTIONS", "BREW", "get"]);
    return text(
      `${method} ${random.pick(paths)} ${random.pick(versions)}\r\n${lines.join("\r\n")}\r\n\r\n`,
    );
  }
  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    `multipart/form-data; boundary=${"b".repeat(random.below(200))}`,
  ];
  const body = random.pick([
    random.bytes(random.below(2000)),
    text("value=%"),
    text("value=a+b&c"),
    text('--b\r\nContent-Disposition: form-data; name="value"\r\n\r\nx\r\n--b--\r\n'),
    text("--b\r\n".repeat(random.below(300))),
  ]);
  return joined(httpPost(formPath, random.pick(types), body));
}

/** Sends a stream in pieces, and takes what comes for a moment. */
async function send(port: Port, bytes: Uint8Array, random: Random): Promise<void> {
  const pieces = random.between(1, 4);
  const end = random.fraction();
  try {
    using connection = await connect(port);
    for (let piece = 0; piece < pieces; piece++) {
      const part = bytes.subarray(
        bytes.length * piece / pieces,
        bytes.length * (piece + 1) / pieces,
      );
      for (let sent = 0; sent < part.length;) sent += await connection.write(part.subarray(sent));
    }
    if (end < 0.4) await connection.closeWrite();
    if (end < 0.7) {
      const buffer = new Uint8Array(65_536);
      await Promise.race([connection.read(buffer), pause(end < 0.4 ? 50 : 5)]);
    }
  } catch {
    // The server may end the connection at any byte.
  }
}

Deno.test("No stream of bytes on any port ends a daemon or delays a good client", async () => {
  const random = new Random(seedForTest("hostile streams"));
  await withTemporaryDirectory(async (directory) => {
    await using world = await World.start(directory);
    await using good = await GoodClient.start(world.ports);
    const before = world.descriptors();
    const counts = world.ports.map((port) => ({
      port,
      count: new FullCount(`streams to ${port.name}`),
    }));
    for (const { port, count } of counts) {
      const rounds = count.rounds(120, 20_000);
      const sending = Array.from({ length: AT_ONCE }, async () => {
        for (const _ of rounds) await send(port, streamOf(port, random), random);
      });
      const measured = good.waits(4000);
      await within(`streams to ${port.name}`, Promise.all(sending), { deadlineMs: 600_000 });
      assertServed(`streams to ${port.name}`, await measured, { boundMs: 2000 });
    }
    await world.recover(before);
    assert(world.daemons.every(({ over }) => !over));
    const lines = world.daemons.flatMap(({ stderrLines }) => stderrLines);
    const bugs = lines.filter((line) => /\bat file:|A bug in countd|level=error/.test(line));
    assertEquals(bugs, []);
    await good[Symbol.asyncDispose]();
    await world.stop();
  });
});

/**
 * A client of its own process for the read benches: asks for the same pages or ranks over several
 * connections, a window of requests in flight on each.
 *
 *     deno run -A read_sender.ts countd|redis PORT top|rank REQUESTS CONNECTIONS WINDOW COUNTERS
 *
 * Prints `ready`, begins at a byte on stdin, and prints `answered MILLISECONDS`.
 */

import { RequestEncoder } from "../../src/counters/wire/mod.ts";
import { Random } from "../support/random.ts";
import { keyBytes, keyTable } from "./key_stream.ts";

const [kind, port, what, requests, connections, window, counters] = Deno.args;
const total = Number(requests);
const windowSize = Number(window);
const encoder = new TextEncoder();
const keyspace = encoder.encode("bench");
const sizes = { keyspaceSize: 256, keySize: 256 };

/** A whole window of requests as bytes; the keys of ranks are drawn at random. */
function windowOf(random: Random, table: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let index = 0; index < windowSize; index++) {
    const at = random.below(Number(counters)) * keyBytes;
    const key = table.subarray(at, at + keyBytes);
    if (kind === "redis") {
      const text = what === "top"
        ? "*5\r\n$9\r\nZREVRANGE\r\n$5\r\nbench\r\n$1\r\n0\r\n$2\r\n99\r\n$10\r\nWITHSCORES\r\n"
        : `*3\r\n$8\r\nZREVRANK\r\n$5\r\nbench\r\n$16\r\n${new TextDecoder().decode(key)}\r\n`;
      parts.push(encoder.encode(text));
    } else {
      const requests = new RequestEncoder(sizes);
      parts.push(
        what === "top"
          ? requests.page(keyspace, { offset: 0n, length: 100n })
          : requests.key(keyspace, key),
      );
    }
  }
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** The size of the answers to one window: bytes from countd, lines from Redis. */
const expected = windowSize *
  (kind === "redis"
    ? (what === "top" ? 401 : 1)
    : what === "top"
    ? 24 + 100 * (10 + keyBytes)
    : 24 + 8 + 10 + keyBytes);

async function ask(connection: Deno.TcpConn, windows: readonly Uint8Array[], count: number) {
  const buffer = new Uint8Array(1 << 20);
  for (let asked = 0; asked < count; asked += windowSize) {
    const bytes = windows[(asked / windowSize) % windows.length] ?? new Uint8Array();
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    for (let left = expected; left > 0;) {
      const read = await connection.read(buffer);
      if (read === null) throw new Error("The server closed the connection");
      if (kind !== "redis") left -= read;
      else for (let at = 0; at < read; at++) if (buffer[at] === 0x0a) left--;
      if (left < 0) throw new Error("The server answered more than was asked");
    }
  }
}

const random = new Random(1);
const table = keyTable(Number(counters));
const windows = Array.from({ length: 64 }, () => windowOf(random, table));
const open: Deno.TcpConn[] = [];
for (let index = 0; index < Number(connections); index++) {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  connection.setNoDelay(true);
  open.push(connection);
}
console.log("ready");
await Deno.stdin.read(new Uint8Array(1));
const startMs = performance.now();
await Promise.all(open.map((connection) => ask(connection, windows, total / open.length)));
console.log(`answered ${performance.now() - startMs}`);
for (const connection of open) connection.close();

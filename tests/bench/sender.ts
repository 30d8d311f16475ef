/**
 * A client of its own process for the ingest benches: sends the recorded stream over several connections
 * to a countd writer or to Redis.
 *
 *     deno run -A sender.ts countd|drop|redis PORT COUNT KEYS CONNECTIONS WINDOW
 *
 * WINDOW 0 sends without waiting; else each connection waits for the answers to its window (three bytes
 * each from countd, a line each from Redis). Prints `sent MILLISECONDS` when the last answer is there.
 */

import { encodeKeyTemplate } from "./templates.ts";
import { MessageRun, recordKeys, zipfStream } from "./key_stream.ts";

const [kind = "", port = "", count = "", keys = "", connections = "", window = ""] = Deno.args;
const total = Number(count);
const recorded = recordKeys(zipfStream(total, Number(keys), 1), Number(keys));
const windowSize = Number(window);
const share = Math.ceil(total / Number(connections));

async function sendShare(from: number, to: number, connection: Deno.TcpConn): Promise<void> {
  const { message, keyOffset } = encodeKeyTemplate(kind === "redis" ? "redis" : "countd");
  const step = windowSize || 250;
  const run = new MessageRun(message, keyOffset, step, recorded);
  const buffer = new Uint8Array(256 * 1024);
  for (let at = from; at < to; at += step) {
    const size = Math.min(step, to - at);
    const bytes = run.fill(at, size);
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    if (windowSize > 0) await answers(connection, buffer, size);
  }
  await connection.closeWrite();
  if (kind === "redis") return;
  while (await connection.read(buffer) !== null);
}

/** Waits for the answers to a window. */
async function answers(connection: Deno.TcpConn, buffer: Uint8Array, size: number): Promise<void> {
  let left = kind === "redis" ? size : size * 3;
  while (left > 0) {
    const read = await connection.read(buffer);
    if (read === null) throw new Error("The server closed the connection");
    if (kind !== "redis") left -= read;
    else for (let at = 0; at < read; at++) if (buffer[at] === 0x0a) left--;
  }
}

const open: Deno.TcpConn[] = [];
for (let index = 0; index < Number(connections); index++) {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  connection.setNoDelay(true);
  open.push(connection);
}
console.log("ready");
await Deno.stdin.read(new Uint8Array(1));
const startMs = performance.now();
await Promise.all(
  open.map((connection, index) =>
    sendShare(index * share, Math.min(total, (index + 1) * share), connection)
  ),
);
console.log(`sent ${performance.now() - startMs}`);

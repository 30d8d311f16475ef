/**
 * A client that never pauses, as a process of its own.
 *
 *     deno run -A greedy_peer.ts PORT increments|ranks|unknown CONNECTIONS
 *
 * Prints `ready` when it begins to send, and goes on until it is killed. Answers are read and dropped.
 */

import { increment, joined, pageRequest, rankRequest, sendAll } from "./plain_messages.ts";

const [port, what, connections] = Deno.args;
/** Enough messages to fill one read of a server. */
const AT_ONCE = 1000;
const BATCHES = 8;

function batch(number: number): Uint8Array {
  return joined(Array.from({ length: AT_ONCE }, (_, index) => {
    if (what === "increments") return increment("flood", `key-${index}`, 1n);
    if (what === "ranks") return rankRequest("flood", `key-${index}`);
    return pageRequest(`unknown-${number * AT_ONCE + index}`, 1);
  }));
}

const batches = Array.from({ length: BATCHES }, (_, number) => batch(number));
const open: Deno.TcpConn[] = [];
for (let index = 0; index < Number(connections); index++) {
  open.push(await Deno.connect({ hostname: "127.0.0.1", port: Number(port) }));
}
console.log("ready");
await Promise.all(open.flatMap((connection) => [sendForEver(connection), dropAnswers(connection)]));

async function sendForEver(connection: Deno.TcpConn): Promise<void> {
  while (true) for (const bytes of batches) await sendAll(connection, bytes);
}

async function dropAnswers(connection: Deno.TcpConn): Promise<void> {
  const bytes = new Uint8Array(2 ** 20);
  while (await connection.read(bytes) !== null);
}

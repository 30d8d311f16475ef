/** Increments of one to a writer with `--ack`, and what was answered. */

import { increment, joined } from "../process/plain_messages.ts";

/** How long an answer may take, in milliseconds. */
const ANSWER_MS = 10_000;

/** How many increments were sent, and how many of them were answered WIN. */
export interface Sent {
  readonly sent: number;
  readonly won: number;
}

/** Sends increments of 1 and waits for the answers; stops waiting if the server ends or is silent. */
export async function sendOnes(
  port: number,
  count: number,
  counter: { keyspace: string; key: string } = { keyspace: "visits", key: "a" },
): Promise<Sent> {
  let won = 0;
  let sent = 0;
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const timer = setTimeout(() => connection.close(), ANSWER_MS);
    try {
      const bytes = joined(
        Array.from({ length: count }, () => increment(counter.keyspace, counter.key, 1n)),
      );
      sent = count;
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
      let answers = "";
      const buffer = new Uint8Array(3 * count);
      while (answers.length < buffer.length) {
        const read = await connection.read(buffer);
        if (read === null) break;
        answers += new TextDecoder().decode(buffer.subarray(0, read));
        won = answers.match(/WIN/g)?.length ?? 0;
      }
    } finally {
      clearTimeout(timer);
    }
  } catch {
    // The server is gone or silent: what was answered until then counts.
  }
  return { sent, won };
}

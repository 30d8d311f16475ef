/** Redis' memory for the same counters: `MEMORY USAGE` of one sorted set. */

import { KEY_BYTES, writeKey } from "./fold_workload.ts";

const REPLY_WAIT_MS = 120_000;
const PIPELINE = 1000;

/** Bytes for each member of a sorted set with 16-byte members; null without a redis-server. */
export async function redisBytesPerMember(
  directory: string,
  members: number,
): Promise<number | null> {
  const socket = `${directory}/redis.sock`;
  let server: Deno.ChildProcess;
  try {
    server = new Deno.Command("redis-server", {
      args: ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("not run: needs redis-server");
    return null;
  }
  try {
    using connection = await connectTo(socket);
    const client = new RedisClient(connection);
    const name = new Uint8Array(KEY_BYTES);
    const text = new TextDecoder();
    for (let from = 0; from < members; from += PIPELINE) {
      const command = ["ZADD", "bench"];
      for (let index = from; index < Math.min(members, from + PIPELINE); index++) {
        writeKey(index, name, 0);
        command.push("1", text.decode(name));
      }
      await client.ask(command);
    }
    return await client.ask(["MEMORY", "USAGE", "bench", "SAMPLES", "0"]) / members;
  } finally {
    server.kill("SIGTERM");
    await server.status;
  }
}

async function connectTo(path: string): Promise<Deno.UnixConn> {
  const deadline = performance.now() + 10_000;
  while (true) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A minimal client for RESP: a command, and a reply that is an integer. */
class RedisClient {
  constructor(readonly connection: Deno.Conn) {}

  async ask(command: readonly string[]): Promise<number> {
    const parts = command.map((part) => `$${part.length}\r\n${part}\r\n`).join("");
    let bytes = new TextEncoder().encode(`*${command.length}\r\n${parts}`);
    while (bytes.length > 0) bytes = bytes.subarray(await this.connection.write(bytes));
    const reply = await this.#line();
    if (!reply.startsWith(":")) throw new Error(`Redis answered ${reply}`);
    return Number(reply.slice(1));
  }

  async #line(): Promise<string> {
    const deadline = performance.now() + REPLY_WAIT_MS;
    const into = new Uint8Array(512);
    let line = "";
    while (!line.endsWith("\r\n")) {
      if (performance.now() > deadline) throw new Error("Redis does not answer");
      const count = await this.connection.read(into);
      if (count === null) throw new Error("Redis has closed the connection");
      line += new TextDecoder().decode(into.subarray(0, count));
    }
    return line.trimEnd();
  }
}

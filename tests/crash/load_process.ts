/**
 * The oracle of the kill cycles: a process of its own, outside the data directory, which is never killed.
 * It loads the writers, and counts what it sent and what was answered. All the while it asks the reader
 * whether every counter lies between the two. Lines of JSON on stdin tell it where the servers are; it
 * answers by lines of JSON on stdout.
 *
 *     deno run -A tests/crash/load_process.ts SEED CONNECTIONS
 */

import { BusyError, ConnectError } from "../../src/base/errors.ts";
import { TextLineStream } from "./text_lines.ts";
import { ReadClient, WriteClient } from "../../src/counters/client/mod.ts";
import { Random } from "../support/random.ts";
import {
  type ConnectionLoad,
  counterOf,
  COUNTERS,
  incrementOf,
  type LoadOrder,
  type LoadReport,
  messagesOf,
  sizes,
} from "./load_plan.ts";
import { WriteMessageEncoder } from "../../src/counters/wire/mod.ts";

const encoder = new TextEncoder();
/** Messages that are encoded at a time; a multiple of the number of counters. */
const BLOCK_MESSAGES = COUNTERS * 40;

class Connection {
  attempted = 0;
  acknowledged = 0;
  /** Set when the server has sent its totals: then nothing is uncertain. */
  exact = false;
  constructor(readonly number: number) {}
}

class Load {
  readonly #random: Random;
  readonly #connections: Connection[] = [];
  readonly #running = new Set<Promise<void>>();
  #writePort = 0;
  #readPort = 0;
  #pausing = false;
  #stop = false;
  reads = 0;
  readonly violations: string[] = [];

  constructor(seed: number, readonly width: number) {
    this.#random = new Random(seed);
  }

  start(): void {
    for (let index = 0; index < this.width; index++) this.#run(() => this.#connectOnce());
    this.#run(() => this.#readOnce());
  }

  #run(once: () => Promise<void>): void {
    const loop = async () => {
      while (!this.#pausing) {
        await once();
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    };
    const running = loop().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async obey(order: LoadOrder): Promise<void> {
    if (order.writePort !== undefined) this.#writePort = order.writePort;
    if (order.readPort !== undefined) this.#readPort = order.readPort;
    if (order.pause) {
      this.#pausing = true;
      await Promise.all(this.#running);
      console.log(JSON.stringify(this.#report()));
    }
    if (order.resume) {
      this.#pausing = false;
      this.start();
    }
  }

  #report(): LoadReport {
    return {
      connections: this.#connections.map((each): ConnectionLoad => [
        each.number,
        each.acknowledged,
        each.attempted,
        each.exact,
      ]),
      reads: this.reads,
      violations: this.violations,
    };
  }

  async #connectOnce(): Promise<void> {
    const blocks = this.#random.pick([1, 5, 50, 1000]);
    let client: WriteClient;
    try {
      client = await WriteClient.connect({ hostname: "127.0.0.1", port: this.#writePort }, sizes);
    } catch {
      return await new Promise((resolve) => setTimeout(resolve, 20));
    }
    using _closes = client;
    const connection = new Connection(this.#connections.length);
    this.#connections.push(connection);
    const block = encodeBlock(connection.number);
    const listen = setInterval(() => connection.acknowledged = client.answeredMessages, 1);
    try {
      for (let sent = 0; sent < blocks && !this.#pausing && !this.#stop; sent++) {
        await this.#sendBlock(client, connection, block);
      }
      const totals = await client.finish();
      if (totals.refused !== 0n) this.violations.push(`${totals.refused} messages were refused`);
      connection.acknowledged = Number(totals.accepted);
      connection.exact = true;
      if (connection.acknowledged !== connection.attempted) {
        this.violations.push(
          `connection ${connection.number}: ${totals.accepted} accepted of ${connection.attempted}`,
        );
      }
    } catch {
      connection.acknowledged = client.answeredMessages;
    } finally {
      clearInterval(listen);
    }
  }

  async #sendBlock(client: WriteClient, connection: Connection, block: Uint8Array): Promise<void> {
    for (let at = 0; at < block.length;) {
      const capacity = client.capacity();
      const part = block.subarray(at, at + capacity.length);
      capacity.set(part);
      client.added(part.length);
      // Counted before it leaves: a message that was cut off may have arrived.
      connection.attempted += part.length / messagesOf.bytes;
      await client.flush();
      connection.acknowledged = client.answeredMessages;
      at += part.length;
    }
  }

  /** Lower and upper bound of one of the common counters now. */
  #bounds(counter: number): { acknowledged: bigint; attempted: bigint } {
    let acknowledged = 0;
    let attempted = 0;
    for (const each of this.#connections) {
      acknowledged += messagesOf(counter, each.acknowledged);
      attempted += messagesOf(counter, each.attempted);
    }
    const increment = incrementOf(counter);
    return {
      acknowledged: BigInt(acknowledged) * increment,
      attempted: BigInt(attempted) * increment,
    };
  }

  /** Checks "read your writes": increments that were answered before the question are in the answer. */
  async #readOnce(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.#readPort === 0) return;
    try {
      using client = await ReadClient.connect(
        { hostname: "127.0.0.1", port: this.#readPort },
        sizes,
      );
      for (let count = 0; count < 50 && !this.#pausing; count++) {
        const counter = this.#random.below(COUNTERS - 1);
        const { keyspace, key } = counterOf(counter, 0);
        const before = this.#bounds(counter);
        const row = await client.key(encoder.encode(keyspace), encoder.encode(key));
        const after = this.#bounds(counter);
        const value = row?.value ?? 0n;
        this.reads++;
        if (value < before.acknowledged || value > after.attempted) {
          this.violations.push(
            `read of ${keyspace} ${key} gave ${value}, not ${before.acknowledged} to ` +
              `${after.attempted}`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    } catch (error) {
      // The reader was killed, or reports that it cannot give a fresh answer now.
      if (error instanceof ConnectError || error instanceof BusyError) return;
      this.violations.push(`the reader says: ${(error as Error).message}`);
    }
  }
}

function encodeBlock(connection: number): Uint8Array {
  const message = new WriteMessageEncoder(sizes);
  const block = new Uint8Array(BLOCK_MESSAGES * messagesOf.bytes);
  const view = new DataView(block.buffer);
  let offset = 0;
  for (let index = 0; index < BLOCK_MESSAGES; index++) {
    const { keyspace, key } = counterOf(index % COUNTERS, connection);
    offset = message.encode(view, offset, {
      keyspace: encoder.encode(keyspace),
      key: encoder.encode(key),
      increment: incrementOf(index % COUNTERS),
    });
  }
  return block;
}

if (import.meta.main) {
  const [seed, width] = Deno.args.map(Number) as [number, number];
  const load = new Load(seed, width);
  load.start();
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) await load.obey(JSON.parse(line) as LoadOrder);
  Deno.exit(0);
}

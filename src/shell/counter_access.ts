/**
 * Access to counters through a server or the data directory. Increments always go through a commit log:
 * that of a running writer, or one that the shell itself claims at the first `incr` and seals when it
 * ends.
 */

import type { Clock } from "../base/clock.ts";
import { RefusedError } from "../base/errors.ts";
import type { Events } from "../base/events.ts";
import { ReadClient, type ServerAddress, WriteClient } from "../counters/client/mod.ts";
import { Counters as Engine } from "../counters/mod.ts";
import type { Storage } from "../file/mod.ts";
import { Reader } from "../counters/view/mod.ts";
import type { MessageSizes } from "../counters/wire/mod.ts";
import type { Counters, CounterWriter } from "./counters.ts";

export interface CounterAccessOptions {
  readonly storage: Storage;
  readonly data: string;
  readonly clock: Clock;
  readonly events: Events;
  /** A server's write port; null appends to the data directory. */
  readonly writeTo: ServerAddress | null;
  /** A server's read port; null reads the data directory. */
  readonly readFrom: ServerAddress | null;
  /** Name sizes in messages of the server. A data directory stores its own. */
  readonly serverSizes: MessageSizes;
  /** How long to wait for a server that does not listen yet. */
  readonly waitMs: number;
}

export function counterAccess(options: CounterAccessOptions): Counters {
  const { storage, data, clock, events, writeTo, readFrom, serverSizes, waitMs } = options;
  return {
    openWriter: () =>
      writeTo === null
        ? openLogWriter(options)
        : ServerCounterWriter.open(writeTo, serverSizes, waitMs),
    openReader: () =>
      readFrom === null
        ? Promise.resolve(Reader.open(storage, data, { stale: false, clock, events }))
        : ReadClient.connect(readFrom, serverSizes, { waitMs }),
  };
}

/** Opens a connection for each increment: only its end confirms that the increment is durable. */
class ServerCounterWriter implements CounterWriter {
  readonly #address: ServerAddress;
  readonly #sizes: MessageSizes;
  readonly #waitMs: number;

  constructor(address: ServerAddress, sizes: MessageSizes, waitMs: number) {
    this.#address = address;
    this.#sizes = sizes;
    this.#waitMs = waitMs;
  }

  static open(
    address: ServerAddress,
    sizes: MessageSizes,
    waitMs: number,
  ): Promise<CounterWriter> {
    return Promise.resolve(new ServerCounterWriter(address, sizes, waitMs));
  }

  async increment(keyspace: Uint8Array, key: Uint8Array, increment: bigint): Promise<void> {
    // Validate before connecting.
    WriteClient.check(keyspace, key, this.#sizes);
    using client = await WriteClient.connect(this.#address, this.#sizes, { waitMs: this.#waitMs });
    await client.increment(keyspace, key, increment);
    const { refused } = await client.finish();
    if (refused > 0n) {
      throw new RefusedError(
        "The server refused the increment: check that --keyspace-size and --key-size match the server's",
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Opens the embedded engine: it writes to the data directory as `countd write` does, without a socket. */
async function openLogWriter(
  { storage, data, clock, events }: CounterAccessOptions,
): Promise<CounterWriter> {
  return await Engine.open(data, { storage, clock, events });
}

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
  /** How long an increment waits for space on a full disk. */
  readonly spaceTimeoutMs: number;
}

export function counterAccess(options: CounterAccessOptions): Counters {
  const { storage, data, clock, events, writeTo, readFrom, serverSizes, waitMs, spaceTimeoutMs } =
    options;
  return {
    // The embedded engine writes to the data directory as `countd write` does, without a socket.
    openWriter: async () =>
      writeTo === null
        ? await Engine.open(data, { storage, clock, events, spaceTimeoutMs })
        : serverWriter(writeTo, serverSizes, waitMs),
    openReader: async () =>
      readFrom === null
        ? Reader.open(storage, data, { stale: false, clock, events })
        : await ReadClient.connect(readFrom, serverSizes, { waitMs }),
  };
}

/** Opens a connection for each increment: only its end confirms that the increment is durable. */
function serverWriter(address: ServerAddress, sizes: MessageSizes, waitMs: number): CounterWriter {
  return {
    async increment(keyspace, key, increment) {
      // Validate before connecting.
      WriteClient.check(keyspace, key, sizes);
      using client = await WriteClient.connect(address, sizes, { waitMs });
      await client.increment(keyspace, key, increment);
      const { refused } = await client.finish();
      if (refused > 0n) {
        throw new RefusedError(
          "The server refused the increment: check that --keyspace-size and --key-size match the server's, " +
            "and whether the server has as many keyspaces as its --max-keyspaces allows",
        );
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/**
 * The two ways to counters: a server, or the data directory. Increments always go through a commit log:
 * the one of a running writer, or one of the shell's own pool slot, claimed at the first `incr` and
 * sealed when the shell is left.
 */

import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { RefusedError } from "../base/errors.ts";
import type { Events } from "../base/events.ts";
import { Metrics } from "../base/metrics.ts";
import { ReadClient, type ServerAddress, WriteClient } from "../counters/client/mod.ts";
import {
  BACKLOG_BYTES_DEFAULT,
  type BatchFiller,
  DataDirectory,
  describeSelf,
  POOL_LOGS_DEFAULT,
} from "../counters/commitlog/mod.ts";
import type { Storage } from "../file/mod.ts";
import { Reader } from "../counters/read/mod.ts";
import {
  checkKey,
  checkKeyspaceName,
  encodeCounter,
  encodeDefinition,
  type MessageSizes,
} from "../counters/wire/mod.ts";
import { LogWriter } from "../counters/write/mod.ts";
import type { CounterReader, Counters, CounterWriter } from "./counters.ts";

export interface CounterAccessOptions {
  readonly storage: Storage;
  readonly data: string;
  readonly clock: Clock;
  readonly events: Events;
  /** A server's write port; null appends to the data directory. */
  readonly writeTo: ServerAddress | null;
  /** A server's read port; null reads the data directory. */
  readonly readFrom: ServerAddress | null;
  /** Sizes of the server's messages. A data directory has its own. */
  readonly serverSizes: MessageSizes;
  /** How long a server that does not listen yet is waited for. */
  readonly waitMs: number;
}

export function counterAccess(options: CounterAccessOptions): Counters {
  const { writeTo, readFrom, serverSizes, waitMs } = options;
  return {
    openWriter: () =>
      writeTo === null
        ? LogCounterWriter.open(options)
        : ServerCounterWriter.open(writeTo, serverSizes, waitMs),
    openReader: () =>
      readFrom === null
        ? openDirectory(options)
        : ReadClient.connect(readFrom, serverSizes, { waitMs }),
  };
}

/** Throws `NotFoundError` where there is no data directory. */
function openDirectory(
  { storage, data, clock, events }: CounterAccessOptions,
): Promise<CounterReader> {
  const directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
  const reader = new Reader(directory, { stale: false, clock, events });
  return Promise.resolve({
    page: (keyspace, range) => reader.page(keyspace, range),
    key: (keyspace, key) => reader.key(keyspace, key),
    keyspaces: (after) => reader.keyspaces(after),
    [Symbol.dispose]() {
      reader[Symbol.dispose]();
      directory.close();
    },
  });
}

/** One connection for each increment: only its end tells that the increment is durable. */
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
    // The names are checked before anybody is bothered.
    WriteClient.check(keyspace, key, this.#sizes);
    using client = await WriteClient.connect(this.#address, this.#sizes, { waitMs: this.#waitMs });
    await client.increment(keyspace, key, increment);
    const { refused } = await client.finish();
    if (refused > 0n) {
      throw new RefusedError(
        "The server refused the increment: do --keyspace-size and --key-size fit the server",
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** A writer of the data directory, as `countd write` is one, without the socket. */
class LogCounterWriter implements CounterWriter {
  readonly #directory: DataDirectory;
  readonly #writer: LogWriter;

  private constructor(directory: DataDirectory, writer: LogWriter) {
    this.#directory = directory;
    this.#writer = writer;
    // The next increment tells it.
    writer.failed.catch(() => {});
  }

  static async open(options: CounterAccessOptions): Promise<CounterWriter> {
    const { storage, data, clock, events } = options;
    const directory = DataDirectory.openOrCreate(storage, data, { self: describeSelf(storage) });
    try {
      const writer = await LogWriter.start(directory, {
        sync: "always",
        syncIntervalMs: 1000,
        logs: POOL_LOGS_DEFAULT,
        backlogBytes: BACKLOG_BYTES_DEFAULT,
        sealAfterMs: 1000,
      }, { clock, events, metrics: new Metrics() });
      return new LogCounterWriter(directory, writer);
    } catch (error) {
      directory.close();
      throw error;
    }
  }

  async increment(keyspace: Uint8Array, key: Uint8Array, increment: bigint): Promise<void> {
    const { sizes } = this.#directory;
    checkKeyspaceName(keyspace, sizes.keyspaceSize);
    checkKey(key, sizes.keySize);
    // A zero increment changes nothing and makes no counter.
    if (increment === 0n) return;
    const record = new OneRecord(keyspace, key, increment);
    while (!this.#writer.append(record) && record.filledRecords === 0) await this.#writer.rotate();
    assert(record.filledRecords === 1, "A log with room takes one record");
    await this.#writer.whenDurable(this.#writer.position);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#writer.stop();
    } finally {
      this.#directory.close();
    }
  }
}

/** A batch of one definition and one counter; appended once. */
class OneRecord implements BatchFiller {
  filledRecords = 0;
  readonly #batch: Uint8Array;

  constructor(keyspace: Uint8Array, key: Uint8Array, increment: bigint) {
    const batch = new Uint8Array(1024);
    const at = encodeDefinition(batch, 0, { number: 0, name: keyspace });
    this.#batch = batch.subarray(0, encodeCounter(batch, at, { keyspace: 0, key, increment }));
  }

  fill(log: Uint8Array, start: number, end: number): number {
    if (this.filledRecords > 0 || end - start < this.#batch.length) return start;
    log.set(this.#batch, start);
    this.filledRecords = 1;
    return start + this.#batch.length;
  }

  takeBack(): void {
    this.filledRecords = 0;
  }
}

/** A data directory in this process with a read server on it, and requests to it. */

import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { type Events, noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import type { Storage } from "../../../src/file/mod.ts";
import { ReadServer, type ReadServerOptions } from "../../../src/counters/read/mod.ts";
import { decodeRows, DEFAULT_SIZES, RequestEncoder } from "../../../src/counters/wire/mod.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { type Increment, LivingDirectory } from "../view/living_directory.ts";
import { latin1Bytes, latin1Text, type PlainRow } from "../view/plain_base.ts";
import type { Reply } from "./request_socket.ts";

/** Requests of the default sizes. */
export const encoder = new RequestEncoder(DEFAULT_SIZES);

export function page(
  keyspace: string,
  offset: number | bigint,
  length: number | bigint,
): Uint8Array {
  return encoder.page(latin1Bytes(keyspace), { offset: BigInt(offset), length: BigInt(length) });
}

export function rowsOf({ body, rows }: Reply): PlainRow[] {
  return [...decodeRows(body, rows)].map(({ key, value }) => ({ key: latin1Text(key), value }));
}

/** A directory in this process and a server on it. */
export async function withServer(
  body: (
    living: LivingDirectory,
    server: ReadServer,
    metrics: Metrics,
  ) => Promise<void>,
  {
    options = {},
    clock = systemClock,
    events = noEvents,
    storage = (same) => same,
    logSize = 65_536,
  }: {
    options?: Partial<ReadServerOptions>;
    clock?: Clock;
    events?: Events;
    storage?: (storage: Storage) => Storage;
    logSize?: number;
  } = {},
): Promise<void> {
  await withTemporaryDirectory(async (path) => {
    await using living = await LivingDirectory.open(`${path}/data`, { logSize });
    using directory = living.openAgain(storage(living.storage));
    const metrics = new Metrics();
    const server = new ReadServer(directory, {
      hostname: "127.0.0.1",
      port: 0,
      maxConnections: 100,
      stale: false,
      ...options,
    }, { clock, events, metrics });
    try {
      await body(living, server, metrics);
    } finally {
      await server.stop();
    }
  });
}

/** Increments of `count` keys; each makes a counter. */
export function counters(keyspace: string, count: number): Increment[] {
  return Array.from({ length: count }, (_, index) => ({
    keyspace,
    key: `key-${index}`,
    // Odd, so never 0: a zero increment makes no counter.
    increment: 2n * BigInt((index * 7919) % 1009) - 999n,
  }));
}

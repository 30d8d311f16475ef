/** A write server in this process, and a client that sends raw bytes. */

import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { type Events, noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import type { BatchFiller, DataDirectory } from "../../../src/counters/commitlog/mod.ts";
import { WriteMessageEncoder } from "../../../src/counters/wire/mod.ts";
import {
  type LogWriter,
  WriteServer,
  type WriteServerOptions,
} from "../../../src/counters/write/mod.ts";
import { smallLogSize } from "../../support/data_directory.ts";
import type { Faults } from "../../support/faulty_storage.ts";
import { waitUntil } from "../../support/wait.ts";

export const serverOptions: WriteServerOptions = {
  hostname: "127.0.0.1",
  port: 0,
  maxConnections: 16,
  acknowledges: true,
  sync: "interval",
  syncIntervalMs: 1000,
  logs: 4,
  backlogBytes: 64 * smallLogSize,
  sealAfterMs: 1000,
};

export async function startServer(
  directory: DataDirectory,
  options: Partial<WriteServerOptions> = {},
  environment: {
    readonly metrics?: Metrics;
    readonly events?: Events;
    readonly clock?: Clock;
  } = {},
): Promise<WriteServer> {
  return await WriteServer.start(directory, { ...serverOptions, ...options }, {
    clock: environment.clock ?? systemClock,
    events: environment.events ?? noEvents,
    metrics: environment.metrics ?? new Metrics(),
  });
}

const sizes = { keyspaceSize: 256, keySize: 256 };
export const messageBytes = 520;

/** Messages of `[keyspace, key, increment]`, one after the other. */
export function messages(
  list: readonly (readonly [string, string, bigint])[],
): Uint8Array<ArrayBuffer> {
  const encoder = new WriteMessageEncoder(sizes);
  const text = new TextEncoder();
  const bytes = new Uint8Array(list.length * messageBytes);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const [keyspace, key, increment] of list) {
    offset = encoder.encode(view, offset, {
      keyspace: text.encode(keyspace),
      key: text.encode(key),
      increment,
    });
  }
  return bytes;
}

export class RawClient implements Disposable {
  private constructor(readonly connection: Deno.TcpConn) {}

  static async connect(server: WriteServer): Promise<RawClient> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
    connection.setNoDelay(true);
    return new RawClient(connection);
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.connection.write(bytes.subarray(sent));
    }
  }

  /** Reads exactly so many bytes, as text. */
  async receive(count: number): Promise<string> {
    return new TextDecoder().decode(await this.receiveBytes(count));
  }

  async receiveBytes(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    let read = 0;
    while (read < count) {
      const more = await this.connection.read(bytes.subarray(read));
      if (more === null) throw new Error(`The connection ended after ${read} of ${count} bytes`);
      read += more;
    }
    return bytes;
  }

  /** Closes the sending side and reads to the end: text, then the totals. */
  async finish(): Promise<{ answers: string; accepted: bigint; refused: bigint }> {
    await this.connection.closeWrite();
    const chunks: number[] = [];
    const buffer = new Uint8Array(4096);
    for (;;) {
      const count = await this.connection.read(buffer);
      if (count === null) break;
      chunks.push(...buffer.subarray(0, count));
    }
    const bytes = Uint8Array.from(chunks);
    const view = new DataView(bytes.buffer, bytes.length - 16);
    return {
      answers: new TextDecoder().decode(bytes.subarray(0, bytes.length - 16)),
      accepted: view.getBigInt64(0, true),
      refused: view.getBigInt64(8, true),
    };
  }

  [Symbol.dispose](): void {
    this.connection.close();
  }
}

/** The number of syncs once the claim of the spare has ended: none came for a while. */
export async function syncsBefore(faults: Faults): Promise<number> {
  await waitUntil("the spare", () => faults.count("link") >= 2);
  for (let syncs = -1; syncs !== faults.count("sync");) {
    syncs = faults.count("sync");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return faults.count("sync");
}

/** Appends one frame, in the next log if the active one is full. */
export async function append(writer: LogWriter, filler: BatchFiller): Promise<void> {
  for (;;) {
    const before = writer.position;
    writer.append(filler);
    if (writer.position > before) return;
    await writer.rotate();
  }
}

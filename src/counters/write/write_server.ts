/**
 * `countd write`: increments from TCP connections into the commit logs.
 */

import { listenTcp, type ServerEnvironment, TcpServer } from "../../net/mod.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import {
  batchBytesMax,
  type HelloTerms,
  type KeyspaceGate,
  TAKES_BATCHES,
  writeMessageBytes,
} from "../wire/mod.ts";
import { BatchMemory } from "./batch_memory.ts";
import { KeyspaceLimit } from "./keyspace_limit.ts";
import { LogWriter } from "./log_writer.ts";
import type { LogWriterOptions } from "./log_writer_options.ts";
import { MessageFiller } from "./message_filler.ts";
import { ReceiveMemory } from "./receive_memory.ts";
import { WriteConnection } from "./write_connection.ts";
import { WriteMetrics } from "./write_metrics.ts";

export interface WriteServerOptions extends LogWriterOptions {
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The option that names the port; `--port` if not given. */
  readonly portOption?: string;
  /** Connections at one time; more are accepted and closed. */
  readonly maxConnections: number;
  /** Answer `WIN` or `NAY` to each message once it is durable. */
  readonly acknowledges: boolean;
  /** Messages of further keyspaces are refused. Not set: there is no bound. */
  readonly maxKeyspaces?: number;
}

export class WriteServer {
  readonly filler: MessageFiller;
  readonly messageBytes: number;
  readonly metrics: WriteMetrics;
  readonly receiveMemory = new ReceiveMemory();
  readonly batchMemory: BatchMemory;
  readonly terms: HelloTerms;
  readonly #tcp: TcpServer;
  #stopped: Promise<void> | null = null;

  private constructor(
    readonly writer: LogWriter,
    readonly options: WriteServerOptions,
    readonly environment: ServerEnvironment,
    listener: Deno.TcpListener,
    readonly gate: KeyspaceGate | null,
  ) {
    const { sizes, control: { identity } } = writer.directory;
    this.filler = new MessageFiller(sizes, gate);
    const batchBytes = batchBytesMax(sizes.logSize);
    this.terms = { sizes, batchBytes, takes: TAKES_BATCHES, identity };
    const { clock, events, metrics } = environment;
    const stalled = metrics.counter("countd_connections_total", "stalled");
    this.batchMemory = new BatchMemory(clock, (lateMs) => {
      stalled.value += 1;
      events.report("warn", "connection closed: too slow with its batches, and others wait", {
        late_ms: Math.round(lateMs),
      });
    });
    this.messageBytes = writeMessageBytes(sizes);
    this.metrics = new WriteMetrics(environment.metrics, this.filler);
    this.#tcp = new TcpServer(listener, {
      port: "write",
      maxConnections: options.maxConnections,
      serve: (connection) => new WriteConnection(this, connection).serve(),
      onLastEnded: () => writer.inputEnded(),
    }, environment);
    // Drained without totals: these would acknowledge increments that are not durable.
    writer.failed.catch(() => this.#tcp.drain());
  }

  /**
   * Starts the writer and listens. Throws `FailedError` if the port is taken, `DirectoryFailedError` on a
   * directory that is marked failed.
   */
  static async start(
    directory: DataDirectory,
    options: WriteServerOptions,
    environment: ServerEnvironment & { readonly signal?: AbortSignal },
  ): Promise<WriteServer> {
    // The port first: a second writer that cannot serve must not claim logs.
    using undo = new DisposableStack();
    const listener = undo.use(listenTcp(options));
    const { maxKeyspaces } = options;
    const limit = maxKeyspaces === undefined
      ? null
      : new KeyspaceLimit(directory, maxKeyspaces, environment);
    await limit?.prepare();
    const writer = await LogWriter.start(directory, options, environment);
    environment.metrics.readiness.state = "ready";
    const server = new WriteServer(writer, options, environment, listener, limit);
    undo.move();
    return server;
  }

  get address(): Deno.NetAddr {
    return this.#tcp.address;
  }

  get acknowledges(): boolean {
    return this.options.acknowledges;
  }

  get connectionCount(): number {
    return this.#tcp.connectionCount;
  }

  /** Rejects with what ends the writer or, if no connection can report it, the server; never resolves. */
  get failed(): Promise<never> {
    // A failure of the writer also ends the connections: it comes first.
    return Promise.race([this.writer.failed, this.#tcp.failed]);
  }

  /**
   * Stops: accepts nothing new, answers what was read, and seals the log. Throws the failure that ended the
   * writer, if there was one. A second call waits for the first.
   */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    const { readiness } = this.environment.metrics;
    if (readiness.state !== "failed") readiness.state = "stopping";
    await this.#tcp.stop();
    try {
      await this.writer.stop();
    } finally {
      // Only now: a connection may have waited for a log or a sync.
      await this.#tcp.ended();
    }
  }
}

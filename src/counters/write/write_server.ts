/**
 * `countd write`: increments from TCP connections into the commit logs.
 */

import { acceptAll } from "../../net/mod.ts";
import { listenTcp } from "../../net/mod.ts";
import { LoopTurn } from "../../net/mod.ts";
import { RareEvents } from "../../base/rare_events.ts";
import { closeStalled, STALLED_SWEEP_MS } from "../../net/mod.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import { type ForeignProtocol, writeMessageBytes } from "../wire/mod.ts";
import { LogWriter } from "./log_writer.ts";
import type { Environment, LogWriterOptions } from "./log_writer_options.ts";
import { MessageFiller } from "./message_filler.ts";
import { ReceiveMemory } from "./receive_memory.ts";
import { WriteConnection } from "./write_connection.ts";
import { WriteMetrics } from "./write_metrics.ts";

/** How long a stop waits for peers that do not take their answers. */
const DRAIN_MS = 5000;

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
}

export class WriteServer {
  readonly filler: MessageFiller;
  readonly messageBytes: number;
  readonly metrics: WriteMetrics;
  readonly receiveMemory = new ReceiveMemory();
  readonly turn: LoopTurn;
  /** Events that peers cause; their number is limited. */
  readonly #rareEvents: RareEvents;
  readonly #connections = new Map<WriteConnection, Promise<void>>();
  readonly #sweep: ReturnType<typeof setInterval>;
  #accepting: Promise<void>;

  private constructor(
    readonly writer: LogWriter,
    readonly options: WriteServerOptions,
    readonly environment: Environment,
    readonly listener: Deno.TcpListener,
  ) {
    const { sizes } = writer.directory;
    this.filler = new MessageFiller(sizes);
    this.messageBytes = writeMessageBytes(sizes);
    this.metrics = new WriteMetrics(environment.metrics, this.filler);
    const { clock, events } = environment;
    this.turn = new LoopTurn(clock);
    this.#rareEvents = new RareEvents(events, clock);
    this.#accepting = acceptAll(listener, {
      clock,
      events: this.#rareEvents,
      turn: this.turn,
      serve: (socket) => this.#serve(socket),
    });
    this.#sweep = setInterval(() => this.#closeStalled(), STALLED_SWEEP_MS);
    // Drained without totals: these would acknowledge increments that are not durable.
    writer.failed.catch(() => {
      for (const connection of this.#connections.keys()) connection.drain();
    });
  }

  /**
   * Starts the writer and listens. Throws `FailedError` if the port is taken, `DirectoryFailedError` on a
   * directory that is marked failed.
   */
  static async start(
    directory: DataDirectory,
    options: WriteServerOptions,
    environment: Environment & { readonly signal?: AbortSignal },
  ): Promise<WriteServer> {
    // The port first: a second writer that cannot serve must not claim logs.
    const listener = listenTcp(options);
    try {
      const writer = await LogWriter.start(directory, options, environment);
      environment.metrics.state = "ready";
      return new WriteServer(writer, options, environment, listener);
    } catch (error) {
      listener.close();
      throw error;
    }
  }

  get address(): Deno.NetAddr {
    return this.listener.addr as Deno.NetAddr;
  }

  get acknowledges(): boolean {
    return this.options.acknowledges;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Rejects with what ends the writer; never resolves. */
  get failed(): Promise<never> {
    return this.writer.failed;
  }

  /** Counts and reports a connection that is closed because it speaks another protocol. */
  reportForeign(protocol: ForeignProtocol): void {
    this.metrics.foreign.value += 1;
    this.#rareEvents.report("warn", "connection closed: it does not speak countd's protocol", {
      port: "write",
      protocol,
    });
  }

  #serve(socket: Deno.TcpConn): void {
    if (this.#connections.size >= this.options.maxConnections) {
      this.metrics.overLimit.value += 1;
      this.#rareEvents.report("warn", "connection closed: too many", {
        max_connections: this.options.maxConnections,
      });
      socket.close();
      return;
    }
    const connection = new WriteConnection(this, socket);
    this.metrics.connections.value += 1;
    this.metrics.opened.value += 1;
    const served = connection.serve().catch(() => {
      // A failed sync ends every connection without an answer; the writer itself reports it.
    }).finally(() => {
      this.#connections.delete(connection);
      this.metrics.connections.value -= 1;
      if (this.#connections.size === 0) this.writer.inputEnded();
    });
    this.#connections.set(connection, served);
  }

  #closeStalled(): void {
    closeStalled(this.#connections.keys(), {
      clock: this.environment.clock,
      events: this.#rareEvents,
      stalled: this.metrics.stalled,
    });
  }

  /**
   * Stops: accepts nothing new, answers what was read, and seals the log. Throws the failure that ended the
   * writer, if there was one.
   */
  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.environment.metrics.state = "stopping";
    this.listener.close();
    await this.#accepting;
    for (const connection of this.#connections.keys()) connection.drain();
    const drained = Promise.all(this.#connections.values());
    const late = new AbortController();
    await Promise.race([drained, this.environment.clock.sleep(DRAIN_MS, late.signal)]);
    late.abort();
    for (const connection of this.#connections.keys()) connection.close();
    this.turn[Symbol.dispose]();
    await this.writer.stop();
  }
}

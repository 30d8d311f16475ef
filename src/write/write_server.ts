/**
 * `countd write`: increments from TCP connections into the commit logs.
 */

import { listenTcp } from "../base/listen_tcp.ts";
import { closeStalled, stalledLookMs } from "../base/stalled_peers.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import { writeMessageBytes } from "../wire/mod.ts";
import { LogWriter } from "./log_writer.ts";
import type { LogWriterOptions, Surroundings } from "./log_writer_options.ts";
import { MessageFiller } from "./message_filler.ts";
import { ReceiveMemory } from "./receive_memory.ts";
import { WriteConnection } from "./write_connection.ts";
import { WriteFigures } from "./write_figures.ts";

/** How long a stop waits for peers that do not take their answers. */
const drainMs = 5000;

export interface WriteServerOptions extends LogWriterOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
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
  readonly metrics: WriteFigures;
  readonly receiveMemory = new ReceiveMemory();
  readonly #connections = new Map<WriteConnection, Promise<void>>();
  readonly #sweep: ReturnType<typeof setInterval>;
  #accepting: Promise<void>;
  #stopping = false;

  private constructor(
    readonly writer: LogWriter,
    readonly options: WriteServerOptions,
    readonly surroundings: Surroundings,
    readonly listener: Deno.TcpListener,
  ) {
    const { sizes } = writer.directory;
    this.filler = new MessageFiller(sizes);
    this.messageBytes = writeMessageBytes(sizes);
    this.metrics = new WriteFigures(surroundings.metrics, this.filler);
    this.#accepting = this.#acceptAll();
    this.#sweep = setInterval(() => this.#closeStalled(), stalledLookMs);
    // Without a word: what is not durable is not answered, and the totals would be an answer.
    writer.failed.catch(() => {
      for (const connection of this.#connections.keys()) connection.drain();
    });
  }

  /**
   * Starts the writer and listens. Throws `FailedError` where the port is taken, `DirectoryFailedError`
   * on a directory that is marked failed.
   */
  static async start(
    directory: DataDirectory,
    options: WriteServerOptions,
    surroundings: Surroundings & { readonly signal?: AbortSignal },
  ): Promise<WriteServer> {
    // The port first: a second writer that cannot serve must not claim logs.
    const listener = listenTcp(options);
    try {
      const writer = await LogWriter.start(directory, options, surroundings);
      surroundings.metrics.state = "ready";
      return new WriteServer(writer, options, surroundings, listener);
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

  /** Rejects when the writer must end; never resolves. */
  get failed(): Promise<never> {
    return this.writer.failed;
  }

  async #acceptAll(): Promise<void> {
    for (;;) {
      let connection: Deno.TcpConn;
      try {
        connection = await this.listener.accept();
      } catch (error) {
        if (this.#stopping) return;
        if (error instanceof Deno.errors.BadResource) return;
        // Out of descriptors, or a peer that was gone before it was accepted.
        const { clock, events } = this.surroundings;
        events.report("warn", "connection not accepted", { reason: String(error) });
        await clock.sleep(100);
        continue;
      }
      if (this.#connections.size >= this.options.maxConnections) {
        this.metrics.overLimit.value += 1;
        this.surroundings.events.report("warn", "connection closed: too many", {
          max_connections: this.options.maxConnections,
        });
        connection.close();
        continue;
      }
      this.#serve(connection);
    }
  }

  #serve(socket: Deno.TcpConn): void {
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
    const { clock, events } = this.surroundings;
    closeStalled(this.#connections.keys(), { clock, events, stalled: this.metrics.stalled });
  }

  /**
   * Stops cleanly: accepts nothing new, answers what was read, seals the logs. Throws the failure that
   * ended the writer, if there was one.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#sweep);
    this.surroundings.metrics.state = "stopping";
    this.listener.close();
    await this.#accepting;
    for (const connection of this.#connections.keys()) connection.drain();
    const drained = Promise.all(this.#connections.values());
    const late = new AbortController();
    await Promise.race([drained, this.surroundings.clock.sleep(drainMs, late.signal)]);
    late.abort();
    for (const connection of this.#connections.keys()) connection.close();
    await this.writer.stop();
  }
}

/**
 * `countd read`: pages, ranks and values over TCP. It holds no lock of a log, so killing it loses nothing.
 */

import { acceptAll } from "../../net/mod.ts";
import type { Clock } from "../../base/clock.ts";
import { CorruptError } from "../../base/errors.ts";
import type { Events } from "../../base/events.ts";
import { listenTcp } from "../../net/mod.ts";
import { LoopTurn } from "../../net/mod.ts";
import type { Metrics } from "../../base/metrics.ts";
import { RareEvents } from "../../base/rare_events.ts";
import { closeStalled, STALLED_SWEEP_MS } from "../../net/mod.ts";
import { type DataDirectory, DirectoryFailedError } from "../commitlog/mod.ts";
import type { OsError } from "../../file/mod.ts";
import { type ForeignProtocol, requestLayout } from "../wire/mod.ts";
import { Answerer } from "./answerer.ts";
import { OutputBudget } from "./output_budget.ts";
import { type ConnectionEnvironment, ReadConnection } from "./read_connection.ts";
import { ReadMetrics } from "./read_metrics.ts";
import { Reader } from "./reader.ts";

/** How long a stop waits for peers that do not take their replies. */
const DRAIN_MS = 2000;
/** Different failures that are reported; more of them would only fill the log. */
const REPORTS_MAX = 1000;

export interface ReadServerOptions {
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The option that names the port; `--port` if not given. */
  readonly portOption?: string;
  /** Connections at one time; more are accepted and closed. */
  readonly maxConnections: number;
  /** Answer from the keyspace files alone. */
  readonly stale: boolean;
}

export interface ReadEnvironment {
  readonly clock: Clock;
  readonly events: Events;
  readonly metrics: Metrics;
}

export class ReadServer {
  readonly #directory: DataDirectory;
  readonly #options: ReadServerOptions;
  readonly #environment: ReadEnvironment;
  readonly #listener: Deno.TcpListener;
  readonly #reader: Reader;
  readonly #metrics: ReadMetrics;
  readonly #turn: LoopTurn;
  /** Events that peers cause; their number is limited. */
  readonly #rareEvents: RareEvents;
  readonly #shared: ConnectionEnvironment;
  readonly #connections = new Map<ReadConnection, Promise<void>>();
  readonly #failure = Promise.withResolvers<never>();
  readonly #accepting: Promise<void>;
  readonly #sweep: ReturnType<typeof setInterval>;
  readonly #reported = new Set<string>();
  #stopped: Promise<void> | null = null;

  /**
   * Listens and serves. The caller closes the directory. Throws `FailedError` if the port is taken,
   * `DirectoryFailedError` if the directory is marked failed, and `BusyError` while it is repaired.
   */
  constructor(
    directory: DataDirectory,
    options: ReadServerOptions,
    environment: ReadEnvironment,
  ) {
    directory.joinDaemons();
    directory.refuseFailed();
    this.#directory = directory;
    this.#options = options;
    this.#environment = environment;
    const { clock, events, metrics } = environment;
    this.#reader = new Reader(directory, { stale: options.stale, clock, events });
    this.#metrics = new ReadMetrics(metrics);
    this.#turn = new LoopTurn(clock);
    this.#rareEvents = new RareEvents(events, clock);
    this.#shared = {
      answerer: new Answerer(this.#reader, directory.sizes, {
        metrics,
        onFailure: (error) => this.#reportFailure(error),
      }),
      budget: new OutputBudget(),
      metrics: this.#metrics,
      clock,
      turn: this.#turn,
      requestBytes: requestLayout(directory.sizes).requestBytes,
      reportForeign: (protocol) => this.#reportForeign(protocol),
    };
    this.#listener = listenTcp(options);
    this.#accepting = acceptAll(this.#listener, {
      clock,
      events: this.#rareEvents,
      turn: this.#turn,
      serve: (socket) => this.#serve(socket),
    });
    this.#sweep = setInterval(() => this.#checkRegularly(), STALLED_SWEEP_MS);
    this.#failure.promise.catch(() => {});
  }

  get address(): Deno.NetAddr {
    return this.#listener.addr as Deno.NetAddr;
  }

  /** Rejects when the server must end; never resolves. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  /** Accepts nothing new, answers what was read, and closes. A second call waits for the first. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections.keys()) connection.drain();
    const drained = Promise.all(this.#connections.values());
    const late = new AbortController();
    await Promise.race([drained, this.#environment.clock.sleep(DRAIN_MS, late.signal)]);
    late.abort();
    for (const connection of this.#connections.keys()) connection.close();
    await drained;
    this.#turn[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
  }

  #reportForeign(protocol: ForeignProtocol): void {
    this.#metrics.foreign.value += 1;
    this.#rareEvents.report("warn", "connection closed: it does not speak countd's protocol", {
      port: "read",
      protocol,
    });
  }

  #serve(socket: Deno.TcpConn): void {
    const { maxConnections } = this.#options;
    if (this.#connections.size >= maxConnections) {
      this.#metrics.overLimit.value += 1;
      this.#rareEvents.report("warn", "connection closed: too many", {
        max_connections: maxConnections,
      });
      socket.close();
      return;
    }
    const connection = new ReadConnection(socket, this.#shared);
    this.#metrics.connections.value += 1;
    this.#metrics.opened.value += 1;
    const served = connection.serve()
      // An error that no reply can report (a bug, for example) ends the server.
      .catch((error) => this.#failure.reject(error))
      .finally(() => {
        this.#connections.delete(connection);
        this.#metrics.connections.value -= 1;
      });
    this.#connections.set(connection, served);
  }

  /** Ends the server if the directory is marked failed, and closes connections that are stalled. */
  #checkRegularly(): void {
    const mark = this.#directory.failedMark();
    if (mark !== null) {
      this.#failure.reject(new DirectoryFailedError(this.#directory.paths.data, mark));
    }
    closeStalled(this.#connections.keys(), {
      clock: this.#environment.clock,
      events: this.#rareEvents,
      stalled: this.#metrics.stalled,
    });
  }

  /** Reports each failure once, because clients ask again and again. */
  #reportFailure(error: CorruptError | OsError): void {
    const isDamage = error instanceof CorruptError;
    const path = isDamage ? error.where.path : error.path;
    const place = isDamage ? `${path}:${error.where.offset}` : `${path}:${error.code}`;
    if (this.#reported.has(place) || this.#reported.size >= REPORTS_MAX) return;
    this.#reported.add(place);
    this.#environment.events.report("error", isDamage ? "damaged file" : "cannot read", {
      path,
      ...(isDamage ? { offset: error.where.offset } : {}),
      reason: error.message,
    });
  }
}

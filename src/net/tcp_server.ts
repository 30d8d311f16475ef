/** A TCP server: accepts up to a limit, closes connections that do nothing, and drains when it stops. */

import { connectionsOf } from "../../ffi/mod.ts";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metrics } from "../base/metrics.ts";
import { RareEvents } from "../base/rare_events.ts";
import { endsWithin } from "../base/waiting.ts";
import { acceptAll } from "./accept_all.ts";
import { closeUnused, SWEEP_MS, toGiveUp } from "./idle_peers.ts";
import { LoopTurn } from "./loop_turn.ts";
import { TcpConnection, type TcpEnvironment } from "./tcp_connection.ts";
import { TcpMetrics } from "./tcp_metrics.ts";

/** How long a stop waits for peers that do not take their answers. */
const DRAIN_MS = 5000;

export interface TcpServerOptions {
  /** Names the port in events. */
  readonly port: string;
  /** Connections at one time; more are accepted and closed. */
  readonly maxConnections: number;
  /** Serves one connection to its end. The server closes it then, also if this rejects. */
  readonly serve: (connection: TcpConnection) => Promise<void>;
  /** Called when the last open connection has ended. */
  readonly onLastEnded?: () => void;
}

/** What a server needs, and the turn of the event loop that it shares with other servers of its process. */
export interface ServerEnvironment {
  readonly clock: Clock;
  readonly events: Events;
  readonly metrics: Metrics;
  /** Default: one of its own. */
  readonly turn?: LoopTurn | undefined;
}

export class TcpServer {
  readonly #listener: Deno.TcpListener;
  readonly #options: TcpServerOptions;
  readonly #environment: TcpEnvironment;
  /** Null if other servers share it: then they may still need it when this one has ended. */
  readonly #ownTurn: LoopTurn | null;
  /** Events that peers cause; their number is limited. */
  readonly #events: RareEvents;
  readonly #connections = new Map<TcpConnection, Promise<void>>();
  /** Those that have given their place to a new one, and since when: they may still get their last bytes. */
  readonly #leaving = new Map<TcpConnection, number>();
  readonly #failure = Promise.withResolvers<never>();
  readonly #accepting: Promise<void>;
  readonly #sweep: ReturnType<typeof setInterval>;
  #stopped: Promise<void> | null = null;

  /** Serves what `listener` accepts, and closes the listener when it stops. */
  constructor(
    listener: Deno.TcpListener,
    options: TcpServerOptions,
    { clock, events, metrics, turn }: ServerEnvironment,
  ) {
    this.#listener = listener;
    this.#options = options;
    this.#events = new RareEvents(events, clock);
    this.#ownTurn = turn === undefined ? new LoopTurn({ clock, metrics }) : null;
    this.#environment = {
      clock,
      turn: turn ?? this.#ownTurn!,
      metrics: new TcpMetrics(metrics),
      reportForeign: (protocol) => this.#reportForeign(protocol),
      reportRefused: (reason) =>
        this.#events.report("warn", "connection closed: its client is refused", {
          port: options.port,
          reason,
        }),
    };
    this.#failure.promise.catch(() => {});
    this.#accepting = acceptAll(listener, {
      clock,
      turn: this.#environment.turn,
      events: this.#events,
      serve: (socket) => this.#serve(socket),
    });
    const { stalled, silent } = this.#environment.metrics;
    const sweeping = { clock, events: this.#events, stalled, silent };
    this.#sweep = setInterval(() => {
      this.#noteAcknowledged();
      closeUnused(this.#connections.keys(), sweeping);
      for (const [connection, sinceMs] of this.#leaving) {
        if (clock.nowMs() - sinceMs >= SWEEP_MS) connection.close();
      }
      this.#events.tellOmitted();
    }, SWEEP_MS);
  }

  get address(): Deno.NetAddr {
    return this.#listener.addr as Deno.NetAddr;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Rejects with the first error of `serve`, which is a bug or ends the server; never resolves. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  /** Ends the input of all connections: what was read is answered, then each one ends. */
  drain(): void {
    for (const connection of this.#connections.keys()) connection.drain();
  }

  /**
   * Accepts nothing new, answers what was read, and closes all connections. A connection may still wait for
   * something else than its peer then: `ended` waits for it. A second call waits for the first.
   */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  /** Resolves when no connection is served any more. Call it after `stop`. */
  async ended(): Promise<void> {
    assert(this.#stopped !== null, "A server is stopped before its connections are waited for");
    await Promise.all(this.#connections.values());
    this.#ownTurn?.[Symbol.dispose]();
  }

  async #stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.#listener.close();
    await this.#accepting;
    this.drain();
    const drained = Promise.all(this.#connections.values());
    await endsWithin(drained, this.#environment.clock, DRAIN_MS);
    for (const connection of this.#connections.keys()) connection.close();
    this.#events.tellOmitted({ isEnd: true });
  }

  /** Asks the system what peers have taken: a search of all descriptors, so only if a write has waited long. */
  #noteAcknowledged(): void {
    const nowMs = this.#environment.clock.nowMs();
    const waiting = new Map<string, TcpConnection>();
    for (const connection of this.#connections.keys()) {
      const { writingSinceMs } = connection;
      if (writingSinceMs === null || nowMs - writingSinceMs < SWEEP_MS) continue;
      waiting.set(connection.peer, connection);
    }
    if (waiting.size === 0) return;
    for (const { peer, acknowledgedBytes } of connectionsOf(this.address.port)) {
      waiting.get(peer)?.noteAcknowledged(acknowledgedBytes);
    }
  }

  /** Connections without those that were closed, or leave, and are still served. */
  get #openCount(): number {
    let count = this.#connections.size;
    if (count < this.#options.maxConnections) return count;
    for (const connection of this.#connections.keys()) {
      if (connection.isClosed || this.#leaving.has(connection)) count--;
    }
    return count;
  }

  #serve(socket: Deno.TcpConn): void {
    const { maxConnections, serve, onLastEnded } = this.#options;
    const { clock, metrics } = this.#environment;
    // A connection that is closed for another one leaves the map later.
    const idle = this.#openCount < maxConnections
      ? null
      : toGiveUp(this.#connections.keys(), clock.nowMs());
    if (idle !== null) {
      metrics.idle.value += 1;
      this.#events.report("info", "idle connection closed: a new one takes its place", {
        idle_ms: Math.round(clock.nowMs() - idle.activeMs),
      });
      this.#leaving.set(idle, clock.nowMs());
      // What it has sent is answered: a writer learns that all of it counts.
      if (idle.hasSpoken) idle.drain();
      else idle.close();
    } else if (this.#openCount >= maxConnections) {
      metrics.overLimit.value += 1;
      this.#events.report("warn", "connection closed: too many", {
        max_connections: maxConnections,
      });
      socket.close();
      return;
    }
    const connection = new TcpConnection(socket, this.#environment);
    metrics.connections.value += 1;
    metrics.opened.value += 1;
    const served = serve(connection)
      .catch((error) => this.#failure.reject(error))
      .finally(() => {
        connection.close();
        this.#connections.delete(connection);
        this.#leaving.delete(connection);
        metrics.connections.value -= 1;
        if (this.#connections.size === 0) onLastEnded?.();
      });
    this.#connections.set(connection, served);
  }

  #reportForeign(protocol: string): void {
    this.#environment.metrics.foreign.value += 1;
    this.#events.report("warn", "connection closed: it does not speak countd's protocol", {
      port: this.#options.port,
      protocol,
    });
  }
}

/**
 * The connections of an HTTP server. `Deno.serve` bounds neither their number nor the time for which they do
 * nothing, and does not tell of them. So a sweep asks the system for them each second, and ends by a system
 * call those that `idle_peers.ts` finds unused, and those beyond the bound.
 */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import { connectionsOf, type Endpoint, type OpenConnection, peerText } from "../../ffi/mod.ts";
import { closeUnused, toGiveUp } from "./idle_peers.ts";
import { LoopSlice, type LoopTurn } from "./loop_turn.ts";
import type { TcpMetrics } from "./tcp_metrics.ts";

/** What is known of a connection. A peer that connects again from its port within a second is taken for the same. */
class HttpPeer {
  /** Its part of the time of the event loop. */
  readonly slice: LoopSlice;
  hasSpoken = false;
  activeMs: number;
  /** Requests that are not answered yet. */
  underWay = 0;
  writingSinceMs: number | null = null;
  #acknowledgedBytes = 0;
  #unsentBytes = 0;
  #open: OpenConnection | null = null;

  constructor(readonly openedMs: number, turn: LoopTurn) {
    this.activeMs = openedMs;
    this.slice = new LoopSlice(turn);
  }

  get isWaiting(): boolean {
    return this.underWay === 0 && this.#open !== null;
  }

  /** Notes what the sweep has found. */
  found(open: OpenConnection, nowMs: number): void {
    this.#open = open;
    const { unsentBytes, acknowledgedBytes } = open;
    // Not the bytes that wait: one answer after the other may wait, each as long as the one before it.
    const hasTaken = acknowledgedBytes !== this.#acknowledgedBytes ||
      // A kernel that counts no acknowledgements still says that less waits.
      unsentBytes < this.#unsentBytes;
    if (unsentBytes === 0) this.writingSinceMs = null;
    else if (hasTaken || this.writingSinceMs === null) this.writingSinceMs = nowMs;
    this.#acknowledgedBytes = acknowledgedBytes;
    this.#unsentBytes = unsentBytes;
  }

  close(): void {
    this.#open?.shutdown();
    this.#open = null;
  }

  /** After the sweep the descriptor may belong to another file. */
  forget(): void {
    this.#open = null;
  }
}

export class HttpPeers {
  readonly #peers = new Map<string, HttpPeer>();

  constructor(
    readonly environment: {
      readonly clock: Clock;
      readonly events: Events;
      readonly metrics: TcpMetrics;
      readonly turn: LoopTurn;
    },
    readonly maxConnections: number,
  ) {}

  /** Notes that a request has arrived from `remote`, and its end. Returns the slice of its connection. */
  request(remote: Endpoint, completed: Promise<unknown>): LoopSlice {
    const { clock, turn } = this.environment;
    const name = peerText(remote);
    const nowMs = clock.nowMs();
    const peer = this.#peers.get(name) ?? new HttpPeer(nowMs, turn);
    this.#peers.set(name, peer);
    peer.hasSpoken = true;
    peer.underWay++;
    peer.activeMs = nowMs;
    const ended = () => {
      peer.underWay--;
      peer.activeMs = clock.nowMs();
    };
    completed.then(ended, ended);
    return peer.slice;
  }

  /** Ends the connections of `port` that are unused, and those beyond the bound. */
  sweep(port: number): void {
    const { clock, events, metrics: { stalled, silent, idle, overLimit }, turn } = this.environment;
    const nowMs = clock.nowMs();
    const open = new Set<HttpPeer>();
    const names = new Set<string>();
    for (const connection of connectionsOf(port)) {
      const peer = this.#peers.get(connection.peer) ?? new HttpPeer(nowMs, turn);
      this.#peers.set(connection.peer, peer);
      peer.found(connection, nowMs);
      open.add(peer);
      names.add(connection.peer);
    }
    for (const name of this.#peers.keys()) if (!names.has(name)) this.#peers.delete(name);
    closeUnused(open, { clock, events, stalled, silent });
    for (let excess = open.size - this.maxConnections; excess > 0; excess--) {
      const idlePeer = toGiveUp(open, nowMs);
      const peer = idlePeer ?? leastUsed(open);
      if (idlePeer === null) {
        overLimit.value += 1;
        events.report("warn", "connection closed: too many", {
          max_connections: this.maxConnections,
        });
      } else idle.value += 1;
      peer.close();
      open.delete(peer);
    }
    for (const peer of open) peer.forget();
  }
}

/**
 * The first of: the oldest that has asked nothing (it has had the most time); the newest without a request
 * under way; the newest.
 */
function leastUsed(open: ReadonlySet<HttpPeer>): HttpPeer {
  const use = ({ hasSpoken, underWay }: HttpPeer) => hasSpoken ? 1 + Math.sign(underWay) : 0;
  return [...open].reduce((one, other) => {
    if (use(other) !== use(one)) return use(other) < use(one) ? other : one;
    const isLater = other.openedMs >= one.openedMs;
    return isLater === one.hasSpoken ? other : one;
  });
}

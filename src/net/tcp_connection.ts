/** One accepted TCP connection: reads, sends, and ends it. Errors of its socket concern its peer alone. */

import { peerText, shutdownConnection } from "../../ffi/mod.ts";
import type { Clock } from "../base/clock.ts";
import { LoopSlice, type LoopTurn } from "./loop_turn.ts";
import type { TcpMetrics } from "./tcp_metrics.ts";

/** What is read, and dropped, at a time while the peer takes its last bytes. */
const DROPPED_BYTES = 64 * 1024;

/** What the connections of a server share. */
export interface TcpEnvironment {
  readonly clock: Clock;
  readonly turn: LoopTurn;
  readonly metrics: TcpMetrics;
  /** Called for a connection that speaks another protocol. */
  reportForeign(protocol: string): void;
  /** Called for a connection that is refused for what its peer has said of itself. */
  reportRefused(reason: string): void;
}

export class TcpConnection {
  /** The connection's part of the time of the event loop; its work is between `begin` and `end`. */
  readonly slice: LoopSlice;
  readonly openedMs: number;
  /** Set when the first whole message has arrived: until then the peer may be none that speaks. */
  hasSpoken = false;
  readonly #socket: Deno.TcpConn;
  readonly #environment: TcpEnvironment;
  #writingSinceMs: number | null = null;
  /** What the peer has acknowledged when the system was asked during this write; null if it was not. */
  #acknowledgedBytes: number | null = null;
  #activeMs: number;
  #isReading = false;
  /** The peer sends nothing more: it has ended its sending side, or it is gone. */
  #isInputOver = false;
  /** The last read filled its target: the next one may find its bytes without a check of other sockets. */
  #wasFilled = false;
  #isDraining = false;
  #isClosed = false;
  /** Ends the read that waits for input. */
  #endRead: () => void = () => {};

  constructor(socket: Deno.TcpConn, environment: TcpEnvironment) {
    this.#socket = socket;
    this.#environment = environment;
    this.slice = new LoopSlice(environment.turn);
    this.#activeMs = this.openedMs = environment.clock.nowMs();
    // An answer must not wait until the peer has acknowledged the one before it.
    this.#attempt(() => socket.setNoDelay(true));
  }

  /** Since when the peer has taken nothing of what waits for it; null if nothing waits. */
  get writingSinceMs(): number | null {
    return this.#writingSinceMs;
  }

  /** Host and port of the peer, as `connectionsOf` gives them. */
  get peer(): string {
    return peerText(this.#socket.remoteAddr);
  }

  /**
   * Notes what the peer has acknowledged in all. A write goes on when the system has sent a third of what it
   * holds, which is a MiB or more: a slow peer takes bytes for minutes before that.
   */
  noteAcknowledged(bytes: number): void {
    if (this.#writingSinceMs === null) return;
    const hasTaken = this.#acknowledgedBytes !== null && bytes !== this.#acknowledgedBytes;
    if (hasTaken) this.#writingSinceMs = this.#environment.clock.nowMs();
    this.#acknowledgedBytes = bytes;
  }

  /** When the last bytes came or went. */
  get activeMs(): number {
    return this.#activeMs;
  }

  /** True while the system may still fill the target of a read, even if the read has ended for its caller. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** True while nothing is done for the peer but to wait for its bytes. */
  get isWaiting(): boolean {
    return this.#isReading && this.#writingSinceMs === null && !this.#isDraining && !this.#isClosed;
  }

  /** True once `drain` was called: a partial message is the end of nothing. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The number of bytes read; null at the end of the input, and once the connection drains or is closed. */
  async read(target: Uint8Array): Promise<number | null> {
    // Each await costs a little, and mostly there is time.
    const turn = this.#wasFilled ? this.slice.giveWay() : undefined;
    if (turn !== undefined) await turn;
    if (this.#isDraining || this.#isInputOver || this.#isClosed) return null;
    const count = await this.#read(target);
    if (count === null) return null;
    // A read that had to wait, although the one before it filled its target, has time of an earlier turn.
    const time = this.#wasFilled ? this.slice.giveWay() : this.slice.received(count);
    if (time !== undefined) await time;
    this.#wasFilled = count === target.length;
    this.#activeMs = this.#environment.clock.nowMs();
    this.#environment.metrics.bytesIn.value += count;
    return count;
  }

  #read(target: Uint8Array): Promise<number | null> {
    return new Promise((resolve) => {
      this.#endRead = () => resolve(null);
      this.#isReading = true;
      const ended = (count: number | null) => {
        this.#isReading = false;
        if (count === null) this.#isInputOver = true;
        resolve(count);
      };
      this.#socket.read(target).then(ended, () => ended(null));
    });
  }

  /** Sends all of the bytes; false if the connection is closed or its peer is gone. */
  async send(bytes: Uint8Array): Promise<boolean> {
    const { clock, metrics } = this.#environment;
    try {
      for (let sent = 0; sent < bytes.length;) {
        this.#writingSinceMs = clock.nowMs();
        sent += await this.#socket.write(sent === 0 ? bytes : bytes.subarray(sent));
      }
    } catch {
      this.#isInputOver = true;
      return false;
    } finally {
      this.#writingSinceMs = null;
      this.#acknowledgedBytes = null;
    }
    this.#activeMs = clock.nowMs();
    metrics.bytesOut.value += bytes.length;
    return true;
  }

  /** Counts and reports that the peer speaks another protocol. The caller ends the connection. */
  reportForeign(protocol: string): void {
    this.#environment.reportForeign(protocol);
  }

  /** Reports that the peer is refused. The caller ends the connection. */
  reportRefused(reason: string): void {
    this.#environment.reportRefused(reason);
  }

  /** Ends the input: what was read is answered, then the connection ends. */
  drain(): void {
    this.#isDraining = true;
    this.#endRead();
  }

  /**
   * Ends the connection after its last bytes. If the peer may have sent more than was read, the sending side
   * is shut down, and the rest is read and dropped until the peer closes: on a close with unread bytes, the
   * system discards what it has not sent yet. A read that still waits has left no byte unread.
   */
  async end(): Promise<void> {
    if (!this.#isInputOver && !this.#isReading && !this.#isClosed) {
      await this.#socket.closeWrite().catch(() => this.#isInputOver = true);
      const dropped = new Uint8Array(DROPPED_BYTES);
      while (!this.#isInputOver) await this.#read(dropped);
    }
    this.close();
  }

  /**
   * Closes the connection at once, even if bytes wait for its peer. With the runtime's `close` alone a write
   * waits, and holds the descriptor, as long as the peer lives and reads nothing (measured with Deno 2.9.4).
   */
  close(): void {
    // A write that still waits is ended again: the system may have had no descriptor the last time.
    if (this.#isClosed && this.#writingSinceMs === null) return;
    this.#isClosed = true;
    const socket = this.#socket;
    if (this.#writingSinceMs !== null) {
      this.#attempt(() => shutdownConnection(socket.localAddr, socket.remoteAddr));
    }
    this.#attempt(() => socket.close());
  }

  #attempt(call: () => void): void {
    try {
      call();
    } catch {
      // The peer has ended the connection, or no descriptor is free: the next read or write says so.
    }
  }
}

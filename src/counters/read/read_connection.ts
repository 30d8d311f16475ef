/** One connection of the read port: requests in, replies out, in order, until the peer closes it. */

import type { Clock } from "../../base/clock.ts";
import { LoopSlice, type LoopTurn } from "../../net/mod.ts";
import { cutConnection } from "../../net/mod.ts";
import { type ForeignProtocol, foreignProtocol, ReceiveBuffer } from "../wire/mod.ts";
import type { Answerer, Left } from "./answerer.ts";
import { type OutputBudget, OutputQuota } from "./output_budget.ts";
import type { ReadMetrics } from "./read_metrics.ts";
import { RowBuffer } from "./row_buffer.ts";

/** Small for the many connections that ask little, large for the few that never stop. */
const INPUT_BYTES_SMALL = 8 * 1024;
const INPUT_BYTES_LARGE = 256 * 1024;
/** Replies that may wait for the peer before its next request is answered. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
const OUTPUT_BYTES_START = 16 * 1024;

/** What the connections of a server share. */
export interface ConnectionEnvironment {
  readonly answerer: Answerer;
  readonly budget: OutputBudget;
  readonly metrics: ReadMetrics;
  readonly clock: Clock;
  readonly turn: LoopTurn;
  /** Size of the shortest request. */
  readonly requestBytes: number;
  /** Called for a connection that is closed because it speaks another protocol. */
  reportForeign(protocol: ForeignProtocol): void;
}

export class ReadConnection {
  readonly #socket: Deno.TcpConn;
  readonly #environment: ConnectionEnvironment;
  readonly #out = new RowBuffer(OUTPUT_BYTES_START, OUTPUT_BYTES_MAX);
  readonly #quota: OutputQuota;
  readonly #slice: LoopSlice;
  #input = new ReceiveBuffer(new Uint8Array(INPUT_BYTES_SMALL));
  /** When the current write began, or null. */
  #writingSinceMs: number | null = null;
  #isClosed = false;
  /** The first request is whole: later input is not checked for another protocol. */
  #hasBegun = false;
  /** True from a read until all of its requests are answered and sent. */
  #isAnswering = false;
  #isDraining = false;

  constructor(socket: Deno.TcpConn, environment: ConnectionEnvironment) {
    this.#socket = socket;
    this.#environment = environment;
    this.#quota = new OutputQuota(environment.budget);
    this.#slice = new LoopSlice(environment.clock, environment.turn);
  }

  /** Since when the peer has taken nothing of its replies; null if nothing waits for it. */
  get writingSinceMs(): number | null {
    return this.#writingSinceMs;
  }

  /** Serves until the peer closes its sending side or disconnects, or `close` is called. */
  async serve(): Promise<void> {
    const { metrics } = this.#environment;
    try {
      this.#socket.setNoDelay(true);
      while (!this.#isDraining) {
        const target = this.#input.unused();
        const count = await this.#socket.read(target);
        if (count === null) return;
        this.#isAnswering = true;
        this.#input.received(count);
        metrics.bytesIn.value += count;
        if (!this.#hasBegun && this.#isForeign()) return;
        await this.#answerAll();
        // After a read that filled the buffer the next one may not wait, so the slice goes on.
        if (count < target.length) this.#slice.reset();
        this.#isAnswering = false;
        this.#prepareInput(count === target.length);
      }
      await this.#endReplies();
    } catch (error) {
      if (!this.#isClosed && !isGone(error)) throw error;
    } finally {
      this.close();
    }
  }

  /** Ends the connection when what was asked is answered and sent: at once if nothing was asked. */
  drain(): void {
    this.#isDraining = true;
    if (!this.#isAnswering && this.#input.length === 0) this.close();
  }

  /** Ends the connection at once, even if replies wait for its peer. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#writingSinceMs !== null) cutConnection(this.#socket);
    else this.#socket.close();
  }

  /**
   * Shuts down the sending side, and reads until the peer closes. If the socket were closed while it
   * holds unread requests, the system would discard replies that it has not sent yet.
   */
  async #endReplies(): Promise<void> {
    await this.#socket.closeWrite();
    let count: number | null = 0;
    while (count !== null) count = await this.#socket.read(this.#input.bytes);
  }

  /** Whether the first bytes, up to the first request, belong to another protocol. */
  #isForeign(): boolean {
    const { reportForeign, requestBytes } = this.#environment;
    const { bytes, start, end } = this.#input;
    this.#hasBegun = end - start >= requestBytes;
    const protocol = foreignProtocol(bytes, { start, end, isWhole: this.#hasBegun });
    if (protocol !== null) reportForeign(protocol);
    return protocol !== null;
  }

  async #answerAll(): Promise<void> {
    const { answerer, budget } = this.#environment;
    const out = this.#out;
    const batch = {
      input: this.#input,
      rows: out,
      quota: this.#quota,
      slice: this.#slice,
      hasRefreshed: false,
    };
    let left: Left = "more";
    while (left !== "nothing" && !this.#isClosed) {
      try {
        left = await answerer.answerSome(batch, OUTPUT_BYTES_MAX);
        await this.#send(out.filled());
      } finally {
        out.reset();
        this.#quota.hold(0);
      }
      if (left === "no capacity") {
        // Checked in the turn in which the reply is built: `whenFreed` resolves for all at once.
        while (!budget.hasCapacity) await budget.whenFreed();
        batch.hasRefreshed = false;
      }
      await this.#slice.giveWay();
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { clock, metrics } = this.#environment;
    try {
      for (let sent = 0; sent < bytes.length;) {
        this.#writingSinceMs = clock.nowMs();
        sent += await this.#socket.write(sent === 0 ? bytes : bytes.subarray(sent));
      }
    } finally {
      this.#writingSinceMs = null;
    }
    metrics.bytesOut.value += bytes.length;
  }

  /** Moves the partial request to the front of the buffer, which is made large if a read filled it. */
  #prepareInput(wasFull: boolean): void {
    this.#input.moveToFront();
    if (!wasFull || this.#input.bytes.length === INPUT_BYTES_LARGE) return;
    const larger = new ReceiveBuffer(new Uint8Array(INPUT_BYTES_LARGE));
    larger.unused().set(this.#input.bytes.subarray(0, this.#input.end));
    larger.received(this.#input.end);
    this.#input = larger;
  }
}

/** Whether the peer reset the connection, or it was closed during a call. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.TimedOut;
}

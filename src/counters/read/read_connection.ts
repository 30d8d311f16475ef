/** One connection of the read port: requests in, replies out, in order, until the peer goes. */

import type { Clock } from "../../base/clock.ts";
import { LoopSlice, type LoopTurn } from "../../net/mod.ts";
import { cutConnection } from "../../net/mod.ts";
import { type ForeignProtocol, foreignProtocol, ReceiveBuffer } from "../wire/mod.ts";
import type { Answerer, Left } from "./answerer.ts";
import { type OutputBudget, OutputShare } from "./output_budget.ts";
import type { ReadMetrics } from "./read_metrics.ts";
import { RowBuffer } from "./row_buffer.ts";

/** Small for the many that ask little, large for the few that never stop. */
const INPUT_BYTES_SMALL = 8 * 1024;
const INPUT_BYTES_LARGE = 256 * 1024;
/** Replies that may wait for the peer before its next request is answered. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
const OUTPUT_BYTES_START = 16 * 1024;

/** What the connections of a server share. */
export interface ConnectionEnvironment {
  readonly answerer: Answerer;
  readonly budget: OutputBudget;
  readonly figures: ReadMetrics;
  readonly clock: Clock;
  readonly turn: LoopTurn;
  /** Of the shortest request. */
  readonly requestBytes: number;
  /** Told of a connection that is closed because it speaks something else. */
  reportForeign(protocol: ForeignProtocol): void;
}

export class ReadConnection {
  readonly #socket: Deno.TcpConn;
  readonly #environment: ConnectionEnvironment;
  readonly #out = new RowBuffer(OUTPUT_BYTES_START, OUTPUT_BYTES_MAX);
  readonly #share: OutputShare;
  readonly #slice: LoopSlice;
  #input = new ReceiveBuffer(new Uint8Array(INPUT_BYTES_SMALL));
  /** When the write at hand began, or null. */
  #writingSinceMs: number | null = null;
  #isClosed = false;
  /** The first request is there: what follows need not be looked at for another protocol. */
  #hasBegun = false;
  /** From when something was read until all of it is answered and sent. */
  #isAnswering = false;
  #isDraining = false;

  constructor(socket: Deno.TcpConn, environment: ConnectionEnvironment) {
    this.#socket = socket;
    this.#environment = environment;
    this.#share = new OutputShare(environment.budget);
    this.#slice = new LoopSlice(environment.clock, environment.turn);
  }

  /** Since when the peer has taken nothing of what it asked for; null where nothing waits for it. */
  get writingSinceMs(): number | null {
    return this.#writingSinceMs;
  }

  /** Serves until the peer closes its sending side or goes away, or `close` is called. */
  async serve(): Promise<void> {
    const { figures } = this.#environment;
    try {
      this.#socket.setNoDelay(true);
      while (!this.#isDraining) {
        const room = this.#input.unused();
        const count = await this.#socket.read(room);
        if (count === null) return;
        this.#isAnswering = true;
        this.#input.received(count);
        figures.bytesIn.value += count;
        if (!this.#hasBegun && this.#isForeign()) return;
        await this.#answerAll();
        // A read that filled the room may be followed by one that does not wait.
        if (count < room.length) this.#slice.reset();
        this.#isAnswering = false;
        this.#makeRoom(count === room.length);
      }
      await this.#sayGoodbye();
    } catch (error) {
      if (!this.#isClosed && !isGone(error)) throw error;
    } finally {
      this.close();
    }
  }

  /** Ends the connection when what was asked is answered and sent: at once where nothing is. */
  drain(): void {
    this.#isDraining = true;
    if (!this.#isAnswering && this.#input.length === 0) this.close();
  }

  /** Ends the connection at once, whatever waits for its peer. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#writingSinceMs !== null) cutConnection(this.#socket);
    else this.#socket.close();
  }

  /**
   * Says that no reply will follow, and waits for the peer to go. Were the socket closed while requests
   * of the peer are unread in it, the system would throw away what it has not sent yet.
   */
  async #sayGoodbye(): Promise<void> {
    await this.#socket.closeWrite();
    let count: number | null = 0;
    while (count !== null) count = await this.#socket.read(this.#input.bytes);
  }

  /** Whether the first bytes, up to the first request, are another protocol's. */
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
      share: this.#share,
      slice: this.#slice,
      hasLooked: false,
    };
    let left: Left = "more";
    while (left !== "nothing" && !this.#isClosed) {
      try {
        left = await answerer.answerSome(batch, OUTPUT_BYTES_MAX);
        await this.#send(out.filled());
      } finally {
        out.reset();
        this.#share.hold(0);
      }
      if (left === "no room") {
        // Looked at again in the turn in which an answer is built: all that wait are told at once.
        while (!budget.hasRoom) await budget.whenChanged();
        batch.hasLooked = false;
      }
      await this.#slice.giveWay();
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { clock, figures } = this.#environment;
    try {
      for (let sent = 0; sent < bytes.length;) {
        this.#writingSinceMs = clock.nowMs();
        sent += await this.#socket.write(sent === 0 ? bytes : bytes.subarray(sent));
      }
    } finally {
      this.#writingSinceMs = null;
    }
    figures.bytesOut.value += bytes.length;
  }

  #makeRoom(wasFull: boolean): void {
    this.#input.moveToFront();
    if (!wasFull || this.#input.bytes.length === INPUT_BYTES_LARGE) return;
    const larger = new ReceiveBuffer(new Uint8Array(INPUT_BYTES_LARGE));
    larger.unused().set(this.#input.bytes.subarray(0, this.#input.end));
    larger.received(this.#input.end);
    this.#input = larger;
  }
}

/** The peer reset the connection, or it was closed under our hands. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.TimedOut;
}

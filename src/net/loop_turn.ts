/**
 * Lets an event loop ask the system what came in, although one connection has more work at hand.
 *
 * The runtime looks at its sockets when nothing else is left to do, or after 61 rounds of other work. A
 * read of a socket that always has bytes is other work, and so are `setImmediate` and message channels:
 * other connections waited for seconds. `setTimeout` waits for a look, but for 2 ms beside it. A byte that
 * the process sends to itself is seen by the next look, together with everything that others have sent,
 * and costs some 20 µs (all measured with Deno 2.9.4).
 */

import type { Clock } from "../base/clock.ts";

/** How long one connection may work before others get their turn. */
const SLICE_MS = 5;

/** Both ends of a connection of the process with itself. */
interface Pair {
  readonly near: Deno.TcpConn;
  readonly far: Deno.TcpConn;
}

export class LoopTurn implements Disposable {
  readonly #clock: Clock;
  readonly #byte = new Uint8Array(1);
  readonly #room = new Uint8Array(16);
  #pair: Pair | null = null;
  #turn: Promise<void> | null = null;
  #isClosed = false;

  /** Opens sockets only when the first turn is asked for: most daemons never need one. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when everything that came in until now has been handed on. All that wait share a turn. */
  next(): Promise<void> {
    return this.#turn ??= this.#next();
  }

  async #next(): Promise<void> {
    try {
      const { near, far } = this.#pair ??= await this.#open();
      // The read first: were the byte there already, no look would be needed to get it.
      const [count] = await Promise.all([far.read(this.#room), near.write(this.#byte)]);
      if (count === null) this.#close();
    } catch {
      // No descriptor to be had, or the server stops: slower, but a turn as well.
      this.#close();
      await this.#clock.sleep(0);
    } finally {
      this.#turn = null;
    }
  }

  async #open(): Promise<Pair> {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { hostname, port } = listener.addr;
    const near = await Deno.connect({ hostname, port });
    try {
      // A byte must not wait for the acknowledgement of the one before it.
      near.setNoDelay(true);
      const far = await listener.accept();
      if (!this.#isClosed && far.remoteAddr.port === near.localAddr.port) return { near, far };
      far.close();
      throw new Error("Another process was faster, or the server has stopped");
    } catch (error) {
      near.close();
      throw error;
    }
  }

  #close(): void {
    if (this.#pair !== null) closePair(this.#pair);
    this.#pair = null;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#close();
  }
}

function closePair({ near, far }: Pair): void {
  near.close();
  far.close();
}

/** The time that one connection has worked since others last had their turn. */
export class LoopSlice {
  readonly #clock: Clock;
  readonly #turn: LoopTurn;
  #workedMs = 0;
  #startMs = 0;

  constructor(clock: Clock, turn: LoopTurn) {
    this.#clock = clock;
    this.#turn = turn;
  }

  /** Work begins. */
  begin(): void {
    this.#startMs = this.#clock.nowMs();
  }

  /** Whether the work that has begun is to be cut. Reads the clock, so it is not for every record. */
  get isUsedUp(): boolean {
    return this.#workedMs + this.#clock.nowMs() - this.#startMs >= SLICE_MS;
  }

  /** Work ends, or waits for something. */
  end(): void {
    this.#workedMs += this.#clock.nowMs() - this.#startMs;
  }

  /** Others had their turn: what is read next has to be waited for. */
  reset(): void {
    this.#workedMs = 0;
  }

  /** Lets others have their turn, if the slice is used up. */
  async giveWay(): Promise<void> {
    if (this.#workedMs < SLICE_MS) return;
    this.#workedMs = 0;
    await this.#turn.next();
  }
}

/**
 * Lets the event loop check all sockets for input, although one connection has more work to do.
 *
 * The runtime checks its sockets when it has no other work, or after 61 rounds of other work. A read of a
 * socket that always has bytes is such work, and so are `setImmediate` and message channels: other
 * connections waited for seconds. `setTimeout` waits for a check, but takes 2 ms longer. A byte that the
 * process sends to itself arrives with the next check, together with all input of other connections, and
 * costs some 20 µs (all measured with Deno 2.9.4).
 */

import type { Clock } from "../base/clock.ts";

/** How long one connection may work before other connections get a turn. */
const SLICE_MS = 5;

/** Both ends of a connection of the process with itself. */
interface Pair {
  readonly near: Deno.TcpConn;
  readonly far: Deno.TcpConn;
}

/** Gives other connections a turn of the event loop. One for each server. */
export class LoopTurn implements Disposable {
  readonly #clock: Clock;
  readonly #byte = new Uint8Array(1);
  readonly #received = new Uint8Array(16);
  #pair: Pair | null = null;
  #turn: Promise<void> | null = null;
  #isClosed = false;

  /** Opens no socket before the first turn: most daemons never need one. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when all input up to now has been delivered. Concurrent calls share one turn. */
  next(): Promise<void> {
    return this.#turn ??= this.#next();
  }

  async #next(): Promise<void> {
    try {
      const { near, far } = this.#pair ??= await this.#open();
      // Read before writing: a byte that is already there would be read without a check of the sockets.
      const [count] = await Promise.all([far.read(this.#received), near.write(this.#byte)]);
      if (count === null) this.#close();
    } catch {
      // No descriptor is free, or the server stops: a timer is slower, but gives a turn as well.
      this.#close();
      await this.#clock.sleep(0);
    } finally {
      this.#turn = null;
    }
  }

  async #open(): Promise<Pair> {
    using undo = new DisposableStack();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { hostname, port } = listener.addr;
    const near = undo.use(await Deno.connect({ hostname, port }));
    // A byte must not wait for the acknowledgement of the one before it.
    near.setNoDelay(true);
    const far = undo.use(await listener.accept());
    if (this.#isClosed || far.remoteAddr.port !== near.localAddr.port) {
      throw new Error("Another process was faster, or the server has stopped");
    }
    undo.move();
    return { near, far };
  }

  #close(): void {
    this.#pair?.near.close();
    this.#pair?.far.close();
    this.#pair = null;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#close();
  }
}

/** The time that one connection has worked since other connections last had a turn. */
export class LoopSlice {
  readonly #clock: Clock;
  readonly #turn: LoopTurn;
  #workedMs = 0;
  #startMs = 0;

  constructor(clock: Clock, turn: LoopTurn) {
    this.#clock = clock;
    this.#turn = turn;
  }

  /** Starts the time of a piece of work. */
  begin(): void {
    this.#startMs = this.#clock.nowMs();
  }

  /** True if the current work should stop here. Reads the clock: too slow to ask for every record. */
  get isUsedUp(): boolean {
    return this.#workedMs + this.#clock.nowMs() - this.#startMs >= SLICE_MS;
  }

  /** Stops the time: the work ends, or waits for something. */
  end(): void {
    this.#workedMs += this.#clock.nowMs() - this.#startMs;
  }

  /** Begins a new slice, after other connections had a turn: the next read has to wait for its bytes. */
  reset(): void {
    this.#workedMs = 0;
  }

  /** Gives other connections a turn if the slice is used up. */
  async giveWay(): Promise<void> {
    if (this.#workedMs < SLICE_MS) return;
    this.#workedMs = 0;
    await this.#turn.next();
  }
}

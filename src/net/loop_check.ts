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

/** Both ends of a connection of the process with itself. */
interface Pair {
  readonly near: Deno.TcpConn;
  readonly far: Deno.TcpConn;
}

/** Waits for the next check of all sockets. */
export class LoopCheck implements Disposable {
  readonly #clock: Clock;
  readonly #byte = new Uint8Array(1);
  readonly #received = new Uint8Array(16);
  #pair: Pair | null = null;
  #checking: Promise<void> | null = null;
  #isClosed = false;

  /** Opens no socket before the first check: most daemons never need one. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when all input up to now has been delivered. Concurrent calls share one check. */
  next(): Promise<void> {
    return this.#checking ??= this.#next();
  }

  async #next(): Promise<void> {
    try {
      const { near, far } = this.#pair ??= await this.#open();
      // Read before writing: a byte that is already there would be read without a check of the sockets.
      const [count] = await Promise.all([far.read(this.#received), near.write(this.#byte)]);
      if (count === null) this.#close();
    } catch {
      // No descriptor is free, or the server stops: a timer is slower, but waits for a check as well.
      this.#close();
      await this.#clock.sleep(0);
    } finally {
      this.#checking = null;
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

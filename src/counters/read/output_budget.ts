/**
 * Memory for replies that their peers have not taken yet, of all connections together. One reply may have
 * some 17 MB, so many slow peers that ask for the most must wait for each other. Small replies wait for
 * nothing: each connection may hold 64 KiB whatever the others hold.
 *
 * Whoever finds room builds a reply and says so in the same turn: were there an `await` in between, all
 * that ask together would find the same room. So the bound is passed by one reply at most, and by the
 * 64 KiB of each connection.
 */

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
/** What a connection may hold when there is no room. */
const FREE_BYTES = 64 * 1024;

export class OutputBudget {
  #bytes = 0;
  #room: PromiseWithResolvers<void> | null = null;

  /** Whether another large reply may be built, now. */
  get hasRoom(): boolean {
    return this.#bytes < OUTPUT_BYTES_MAX;
  }

  /** Resolves when there is room. All that wait are told, so each must look again. */
  async whenChanged(): Promise<void> {
    await (this.#room ??= Promise.withResolvers<void>()).promise;
  }

  /** So many bytes more, or fewer, wait for peers. */
  change(bytes: number): void {
    this.#bytes += bytes;
    if (!this.hasRoom) return;
    this.#room?.resolve();
    this.#room = null;
  }
}

/** What one connection has of the budget. */
export class OutputShare {
  #bytes = 0;

  constructor(readonly budget: OutputBudget) {}

  /** The bytes that may wait for this peer, now; what it holds already is among them. */
  get allowance(): number {
    return this.budget.hasRoom ? Infinity : FREE_BYTES;
  }

  /** Says that `bytes` wait for this peer now. */
  hold(bytes: number): void {
    this.budget.change(bytes - this.#bytes);
    this.#bytes = bytes;
  }
}

/**
 * Bounds the memory for replies that their peers have not taken yet, of all connections together. One reply
 * may have some 17 MB, so slow peers that ask for large pages wait for each other. Small replies never wait:
 * each connection may hold 64 KiB whatever the others hold.
 *
 * The check for capacity, the building of a reply and `hold` must happen in one turn of the event loop: with
 * an `await` in between, all connections would find the same capacity. So the bound is exceeded by one reply
 * at most, and by the 64 KiB of each connection.
 */

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
/** What a connection may hold when the budget has no capacity. */
const FREE_BYTES = 64 * 1024;

export class OutputBudget {
  #bytes = 0;
  #freed: PromiseWithResolvers<void> | null = null;

  /** Whether another large reply may be built, now. */
  get hasCapacity(): boolean {
    return this.#bytes < OUTPUT_BYTES_MAX;
  }

  /** Resolves when there is capacity. It resolves for all that wait, so each must check again. */
  async whenFreed(): Promise<void> {
    await (this.#freed ??= Promise.withResolvers<void>()).promise;
  }

  /** Counts bytes that wait for peers: a positive number more, a negative one fewer. */
  change(bytes: number): void {
    this.#bytes += bytes;
    if (!this.hasCapacity) return;
    this.#freed?.resolve();
    this.#freed = null;
  }
}

/** The part of the budget that one connection uses. */
export class OutputQuota {
  #bytes = 0;

  constructor(readonly budget: OutputBudget) {}

  /** The bytes that may wait for this peer now, with those that wait already. */
  get allowance(): number {
    return this.budget.hasCapacity ? Infinity : FREE_BYTES;
  }

  /** Sets the bytes that wait for this peer. */
  hold(bytes: number): void {
    this.budget.change(bytes - this.#bytes);
    this.#bytes = bytes;
  }
}

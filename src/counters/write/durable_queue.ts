/** Promises that wait until a position is durable. Positions are added in rising order. */

interface Waiter {
  readonly position: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class DurableQueue {
  readonly #waiters: Waiter[] = [];
  /** Waiters before this index are resolved; they are removed together. */
  #first = 0;

  get isWaited(): boolean {
    return this.#first < this.#waiters.length;
  }

  wait(position: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ position, resolve, reject }));
  }

  /** Resolves what waits for `position` or less. */
  resolveUpTo(position: number): void {
    for (; this.#first < this.#waiters.length; this.#first++) {
      const waiter = this.#waiters[this.#first];
      if (waiter === undefined || waiter.position > position) break;
      waiter.resolve();
    }
    if (this.#first === this.#waiters.length) {
      this.#waiters.length = 0;
      this.#first = 0;
    }
  }

  /** Rejects all: nothing more will become durable. */
  reject(error: unknown): void {
    for (const waiter of this.#waiters.splice(this.#first)) waiter.reject(error);
    this.#waiters.length = 0;
    this.#first = 0;
  }
}

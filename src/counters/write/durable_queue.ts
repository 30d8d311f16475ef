/** Who waits for which position to be durable. Positions are asked for in rising order. */

interface Waiter {
  readonly position: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class DurableQueue {
  readonly #waiters: Waiter[] = [];
  /** Waiters before this index are settled; they are dropped in one go. */
  #first = 0;

  get isWaited(): boolean {
    return this.#first < this.#waiters.length;
  }

  wait(position: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ position, resolve, reject }));
  }

  /** Everything up to `position` is durable. */
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

  /** Nothing more will become durable. */
  reject(error: unknown): void {
    for (const waiter of this.#waiters.splice(this.#first)) waiter.reject(error);
    this.#waiters.length = 0;
    this.#first = 0;
  }
}

/** The tailers of one instance. */

import type { Clock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import type { Life } from "../file/life.ts";
import { Reactor } from "./reactor.ts";
import { type CloseReason, type Consumer, Tailer, type TailSource } from "./tailer.ts";

/** Options of `Aof.subscribe`. */
export interface SubscribeOptions {
  /** Offset of the first byte that the consumer wants, which the file need not have reached. Default 0. */
  readonly from?: number | undefined;
}

/** Options of `Aof.subscribeInterval`. */
export interface SubscribeIntervalOptions extends SubscribeOptions {
  /** Milliseconds between polls, which come also if nothing is appended. Above 0. */
  readonly intervalMs: number;
}

export class Subscriptions {
  readonly #source: TailSource;
  readonly #clock: Clock;
  readonly #life: Life;
  readonly #tailers = new Set<Tailer>();
  readonly #ownsReactor: boolean;
  #reactor: Reactor | null;

  constructor(source: TailSource, { clock, reactor }: {
    readonly clock: Clock;
    readonly reactor: Reactor | null;
  }, life: Life) {
    this.#source = source;
    this.#clock = clock;
    this.#life = life;
    this.#ownsReactor = reactor === null;
    this.#reactor = reactor;
  }

  get size(): number {
    return this.#tailers.size;
  }

  /** The reactor that the instance was given, or one of its own. */
  get reactor(): Reactor {
    return this.#reactor ??= new Reactor({ clock: this.#clock });
  }

  add(reactor: Reactor, consumer: Consumer, { from = 0, intervalMs }: {
    readonly from?: number | undefined;
    readonly intervalMs?: number | undefined;
  }): Tailer {
    const { path } = this.#source;
    this.#life.throwIfClosed("subscribe to");
    if (reactor === null || reactor === undefined) {
      throw new UsageError(`Cannot subscribe to ${path} without a reactor`);
    }
    if (intervalMs !== undefined && !(intervalMs > 0)) {
      throw new UsageError(`Cannot poll ${path} every ${intervalMs} ms`);
    }
    const tailer = new Tailer(this.#source, { consumer, reactor, position: from });
    reactor.spawn(tailer, { intervalMs });
    this.#tailers.add(tailer);
    return tailer;
  }

  /** Poll every tailer in the next turn. */
  wake(): void {
    for (const tailer of this.#tailers) tailer.wake();
  }

  /** Close every tailer; one whose consumer is running closes when the consumer returns. */
  close(reason: CloseReason): void {
    for (const tailer of [...this.#tailers]) tailer.closeFor(reason);
  }

  delete(tailer: Tailer): void {
    this.#tailers.delete(tailer);
  }

  /** Close the reactor, unless it is the caller's. */
  release(): void {
    if (this.#ownsReactor) this.#reactor?.close();
  }
}

/** The tailers of one instance. */

import { UsageError } from "../../base/errors.ts";
import type { Reactor } from "./reactor.ts";
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
  readonly #tailers = new Set<Tailer>();

  get size(): number {
    return this.#tailers.size;
  }

  add(source: TailSource, consumer: Consumer, { from = 0, intervalMs, reactor }: {
    readonly from?: number | undefined;
    readonly intervalMs?: number | undefined;
    readonly reactor: Reactor;
  }): Tailer {
    if (reactor === null || reactor === undefined) {
      throw new UsageError(`Cannot subscribe to ${source.path} without a reactor`);
    }
    if (intervalMs !== undefined && !(intervalMs > 0)) {
      throw new UsageError(`Cannot poll ${source.path} every ${intervalMs} ms`);
    }
    const tailer = new Tailer(source, { consumer, reactor, position: from });
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
}

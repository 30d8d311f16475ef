/** The tailers of one instance. */

import { UsageError } from "../../base/errors.ts";
import type { Reactor } from "./reactor.ts";
import { type CloseReason, type Consumer, Tailer, type TailSource } from "./tailer.ts";

export interface SubscribeOptions {
  /** Offset of the first byte that the consumer wants; default 0. */
  readonly from?: number | undefined;
}

export interface SubscribeIntervalOptions extends SubscribeOptions {
  /** Milliseconds between polls that come without being woken. */
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

  /** Polls every tailer in the next turn. */
  wake(): void {
    for (const tailer of this.#tailers) tailer.wake();
  }

  /** A consumer at work is let finish: its tailer leaves when it returns. */
  close(reason: CloseReason): void {
    for (const tailer of [...this.#tailers]) tailer.closeFor(reason);
  }

  delete(tailer: Tailer): void {
    this.#tailers.delete(tailer);
  }
}

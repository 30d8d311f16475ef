/** Limits the silence of a server: the time in which it neither takes nor sends a byte. */

import { systemClock } from "../../base/clock.ts";

/** Longer than any server waits for a sync, a fold or a free log. */
export const SILENCE_MS = 30_000;

/** A time in milliseconds as text in seconds. */
export function showSeconds(timeMs: number): string {
  return `${timeMs / 1000} s`;
}

/** How long the other side of a connection has neither taken nor sent a byte. */
export class Silence {
  #lastMs = systemClock.nowMs();

  constructor(
    /** The longest silence that is borne, in milliseconds. */
    readonly boundMs: number,
  ) {}

  /** End a silence. Called for each piece that the server took or sent. */
  end(): void {
    this.#lastMs = systemClock.nowMs();
  }

  /**
   * Returns the result of `work`, which waits for the server. Throws what `error` makes if the server is
   * silent for too long; `work` goes on by itself then.
   */
  async during<T>(work: Promise<T>, error: () => Error): Promise<T> {
    this.end();
    const { promise, reject } = Promise.withResolvers<never>();
    const check = () => {
      const leftMs = this.#lastMs + this.boundMs - systemClock.nowMs();
      if (leftMs <= 0) return reject(error());
      timer = setTimeout(check, leftMs);
    };
    let timer = setTimeout(check, this.boundMs);
    try {
      return await Promise.race([work, promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

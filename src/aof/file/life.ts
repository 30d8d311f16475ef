/** Where an instance is in its life, what it refuses because of that, and how it ends. */

import type { Durability } from "./durability.ts";
import { ErrClosed, ErrFileIsReadOnly } from "./errors.ts";
import { FileState } from "./file_state.ts";
import type { Parts } from "./parts.ts";
import { timed } from "./region.ts";

export class Life {
  state: FileState;
  readonly #parts: Parts;
  readonly #durability: Durability;
  readonly #finalized = Promise.withResolvers<void>();

  constructor(parts: Parts, durability: Durability) {
    this.#parts = parts;
    this.#durability = durability;
    this.state = parts.state;
  }

  /** Whether `close` was called. */
  get isEnding(): boolean {
    return this.state >= FileState.Closing;
  }

  get isWritable(): boolean {
    return this.state === FileState.Opened && !this.#parts.isReadOnly &&
      this.#durability.failure === null;
  }

  /** Resolves when the instance has ended. Never rejects. */
  get closed(): Promise<void> {
    return this.#finalized.promise;
  }

  throwIfNotWritable(what: string): void {
    const { isReadOnly, path } = this.#parts;
    this.#durability.throwIfFailed();
    if (isReadOnly) {
      throw new ErrFileIsReadOnly(`Cannot ${what} ${path}: it was opened to be read only`);
    }
    if (this.state !== FileState.Opened) throw this.#closedError(what);
  }

  throwIfClosed(what: string): void {
    if (this.isEnding) throw this.#closedError(what);
  }

  #closedError(what: string): ErrClosed {
    const why = this.state === FileState.Eof ? "finished" : "closed";
    return new ErrClosed(`Cannot ${what} ${this.#parts.path}: the file is already ${why}`);
  }

  /** Begin to end: `stop` refuses writes and closes the tailers. */
  close(stop: () => void): void {
    this.throwIfClosed("close");
    const { clock, stats } = this.#parts;
    this.state = FileState.Closing;
    timed(clock, { count: stats.closes, duration: stats.closeDur }, stop);
  }

  /** Release the memory and the descriptor, unless a sync is in flight. `release` does what comes first. */
  finalizeWhenIdle(release: () => void): void {
    if (this.state !== FileState.Closing || this.#durability.isSyncing) return;
    const { clock, stats, follower, region, side } = this.#parts;
    timed(clock, { count: stats.finalizes, duration: stats.finalizesDur }, () => {
      release();
      (follower?.region ?? region).release(true);
      side?.[Symbol.dispose]();
    });
    this.state = FileState.Closed;
    this.#finalized.resolve();
  }
}

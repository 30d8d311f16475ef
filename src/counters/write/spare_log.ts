/** A log that is claimed before it is needed, so that a full one is replaced without waiting for the disk. */

import type { ActiveLog, LogPool } from "../commitlog/mod.ts";
import { isPassing } from "../../file/mod.ts";

export class SpareLog {
  readonly #pool: LogPool;
  readonly #onFailure: (error: unknown) => void;
  #claim: Promise<ActiveLog | null>;
  /** The claimed log: null during the claim, and if no log could be claimed. */
  #inHand: ActiveLog | null = null;
  #isClaiming = false;

  /** Claims a log at once. `onFailure` is called with errors that do not pass by themselves. */
  constructor(pool: LogPool, onFailure: (error: unknown) => void) {
    this.#pool = pool;
    this.#onFailure = onFailure;
    this.#claim = this.#claimOne();
  }

  get isInHand(): boolean {
    return this.#inHand !== null;
  }

  /** The spare, when its claim is over; null if no log could be claimed. The caller then calls `claimNext`. */
  claimed(): Promise<ActiveLog | null> {
    return this.#claim;
  }

  claimNext(): void {
    this.#claim = this.#claimOne();
  }

  /** Claims again if no log could be claimed before. Throws `OsError` if the pool cannot be read. */
  replenish(): void {
    if (this.isInHand || this.#isClaiming) return;
    if (this.#pool.hasFreeSlot()) this.claimNext();
  }

  async #claimOne(): Promise<ActiveLog | null> {
    this.#inHand = null;
    this.#isClaiming = true;
    try {
      const claimed = await this.#pool.claim();
      if (typeof claimed === "string") return null;
      this.#inHand = claimed;
      return claimed;
    } catch (error) {
      // `claimOrWait` waits until it has passed, when the log is needed.
      if (!isPassing(error)) this.#onFailure(error);
      return null;
    } finally {
      this.#isClaiming = false;
    }
  }
}

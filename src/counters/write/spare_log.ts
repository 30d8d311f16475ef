/** A log that is claimed ahead, so that a full one is replaced without waiting for the disk. */

import type { ActiveLog, LogPool } from "../commitlog/mod.ts";
import { isDiskFull, isOutOfResources } from "../../file/mod.ts";

export class SpareLog {
  readonly #pool: LogPool;
  readonly #onFailure: (error: unknown) => void;
  #claim: Promise<ActiveLog | null>;
  /** What became of the claim: null while it goes on, and where none could be had. */
  #inHand: ActiveLog | null = null;
  #isClaiming = false;

  /** Claims one at once. `onFailure` is told what does not pass by itself. */
  constructor(pool: LogPool, onFailure: (error: unknown) => void) {
    this.#pool = pool;
    this.#onFailure = onFailure;
    this.#claim = this.#claimOne();
  }

  get isInHand(): boolean {
    return this.#inHand !== null;
  }

  /** The spare when its claim is over; null where none could be had. Who takes it calls `claimNext`. */
  claimed(): Promise<ActiveLog | null> {
    return this.#claim;
  }

  claimNext(): void {
    this.#claim = this.#claimOne();
  }

  /** Claims again where there was none to be had. Throws `OsError` where the pool cannot be looked at. */
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
      // What passes is waited for when the log is needed.
      if (!isDiskFull(error) && !isOutOfResources(error)) this.#onFailure(error);
      return null;
    } finally {
      this.#isClaiming = false;
    }
  }
}

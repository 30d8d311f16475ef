/**
 * Bounds the memory for replies that their peers have not taken yet, of all connections together. One reply
 * may have some 17 MB, so slow peers that ask for large pages wait for each other. Small replies never wait:
 * each connection may hold 64 KiB whatever the others hold. While others wait, a peer that has held a large
 * reply for 5 s is disconnected: peers that take their replies slowly must not share the budget among themselves.
 *
 * The check for capacity, the building of a reply and `hold` must happen in one turn of the event loop: with
 * an `await` in between, all connections would find the same capacity. So the bound is exceeded by one reply
 * at most, and by the 64 KiB of each connection.
 */

import type { Clock } from "../../base/clock.ts";

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
/** What a connection may hold when the budget has no capacity. */
const FREE_BYTES = 64 * 1024;

/** While others wait, a peer may hold a large reply so long. */
const HELD_MS = 5000;

export class OutputBudget {
  readonly #clock: Clock;
  #bytes = 0;
  #freed: PromiseWithResolvers<void> | null = null;
  /** Those that were sent more than is always free, the longest first. */
  readonly #holders = new Set<OutputQuota>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether another large reply may be built, now. */
  get hasCapacity(): boolean {
    return this.#bytes < OUTPUT_BYTES_MAX;
  }

  /** Resolves when there is capacity. It resolves for all that wait, so each must check again. */
  async whenFreed(): Promise<void> {
    await (this.#freed ??= Promise.withResolvers<void>()).promise;
  }

  /** Counts bytes that wait for the peer of `quota`: `before` until now, `bytes` from now on. */
  change(quota: OutputQuota, before: number, bytes: number): void {
    this.#bytes += bytes - before;
    if (bytes <= FREE_BYTES) this.#holders.delete(quota);
    if (!this.hasCapacity) return;
    this.#freed?.resolve();
    this.#freed = null;
  }

  /** Notes that the reply of `quota` is sent now: until then its peer can take nothing. */
  sent(quota: OutputQuota): void {
    quota.sentMs = this.#clock.nowMs();
    this.#holders.delete(quota);
    this.#holders.add(quota);
  }

  /**
   * If others wait for capacity, ends the connection that has held a large reply longest, if that is longer
   * than a few seconds. Returns how long it was, or null. Called each second.
   */
  endSlowest(): number | null {
    const [slowest] = this.#holders;
    if (this.#freed === null || slowest === undefined) return null;
    const heldMs = this.#clock.nowMs() - slowest.sentMs;
    if (heldMs < HELD_MS) return null;
    this.#holders.delete(slowest);
    slowest.end();
    return heldMs;
  }
}

/** The part of the budget that one connection uses. */
export class OutputQuota {
  /** When its peer could begin to take what it holds, if that is more than is always free. */
  sentMs = 0;
  #bytes = 0;

  /** `end` ends the connection. */
  constructor(readonly budget: OutputBudget, readonly end: () => void) {}

  /** The bytes that may wait for this peer now, with those that wait already. */
  get allowance(): number {
    return this.budget.hasCapacity ? Infinity : FREE_BYTES;
  }

  /** Sets the bytes that wait for this peer. */
  hold(bytes: number): void {
    this.budget.change(this, this.#bytes, bytes);
    this.#bytes = bytes;
  }

  /** Notes that what waits for this peer is sent now. */
  sent(): void {
    if (this.#bytes > FREE_BYTES) this.budget.sent(this);
  }
}

/**
 * The memory that batches are received into. A connection keeps a small piece for life. A batch that does not fit
 * it is received into a larger one, which the connection gives back when no part of a batch is left in it. Of
 * the large pieces there are few: if none is free, a connection is not read until one is. While others wait, a
 * peer that is in the middle of a large batch, or does not take its answers, and is late by 5 s, is disconnected.
 */

import type { Clock } from "../../base/clock.ts";
import { ReceiveMemory } from "./receive_memory.ts";

const CHECK_MS = 1000;
/** While others wait, a peer may be late by so much. */
const LATE_MS = 5000;

type Piece = Uint8Array<ArrayBuffer>;

/** A connection that has a large piece. */
export interface PieceHolder {
  /** By how much its peer is late with a batch, or with taking answers; 0 if it is not to blame. */
  lateMs(nowMs: number): number;
  /** Ends its connection, which then releases the piece. */
  close(): void;
}

export class BatchMemory {
  readonly #pieces = new ReceiveMemory();
  readonly #holders = new Map<Piece, PieceHolder>();
  readonly #waiting: ((piece: Piece) => void)[] = [];

  /** `onLate` is told how late a peer was whose connection is ended. */
  constructor(readonly clock: Clock, readonly onLate: (lateMs: number) => void) {}

  /** Whether connections wait for a large piece. */
  get isWanted(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * A larger piece than `memory` that has space for `wantedBytes`, if there is one now. While others wait no large
   * one is free, and what they wait for is not made later by a middling one.
   */
  largerThan(memory: Piece, wantedBytes: number, holder: PieceHolder): Piece | null {
    const piece = this.#pieces.largerThan(memory, wantedBytes);
    if (piece !== null && ReceiveMemory.isLarge(piece)) this.#holders.set(piece, holder);
    return piece;
  }

  /** A large piece, as soon as there is one. */
  async large(holder: PieceHolder): Promise<Piece> {
    const piece = this.#pieces.large() ?? await this.#whenFree();
    this.#holders.set(piece, holder);
    return piece;
  }

  /** As `release` of `ReceiveMemory`; the first that waits gets a piece. */
  release(piece: Piece, state: { readonly isReadInto: boolean }): void {
    this.#holders.delete(piece);
    this.#pieces.release(piece, state);
    if (!this.isWanted) return;
    // In the same turn, so that no other comes before the first that waits.
    const free = this.#pieces.large();
    if (free !== null) this.#waiting.shift()?.(free);
  }

  async #whenFree(): Promise<Piece> {
    const { promise, resolve } = Promise.withResolvers<Piece>();
    this.#waiting.push(resolve);
    const freed = new AbortController();
    try {
      const checks = this.#endLate(freed.signal);
      const piece = await promise;
      freed.abort();
      await checks;
      return piece;
    } finally {
      freed.abort();
    }
  }

  /** Each second ends the connection of the peer that is late by the most, until the signal fires. */
  async #endLate(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const nowMs = this.clock.nowMs();
      let latest: readonly [Piece, PieceHolder] | null = null;
      let mostMs = LATE_MS;
      for (const [piece, holder] of this.#holders) {
        const lateMs = holder.lateMs(nowMs);
        if (lateMs < mostMs || latest !== null && lateMs === mostMs) continue;
        latest = [piece, holder];
        mostMs = lateMs;
      }
      if (latest !== null) {
        this.#holders.delete(latest[0]);
        this.onLate(mostMs);
        latest[1].close();
      }
      await this.clock.sleep(CHECK_MS, signal);
    }
  }
}

/** How fast the batch comes that a connection is in the middle of. Only time that is spent in reads counts. */

/** What a peer need send at the least while others wait for its piece of memory. */
const RATE_BYTES_PER_MS = 64 * 1024 / 1000;

export class BatchPace {
  /** Since when the present read waits; null between reads. */
  #waitingSinceMs: number | null = null;
  /** How long the reads before it have waited. */
  #waitedMs = 0;
  #bytes = 0;

  /** A batch begins, or goes on in another piece; `bytes` of it are there. */
  restart(bytes: number): void {
    this.#waitedMs = 0;
    this.#bytes = bytes;
  }

  beginRead(nowMs: number): void {
    this.#waitingSinceMs = nowMs;
  }

  /** `count` bytes have come; 0 if the input is over. */
  endRead(count: number, nowMs: number): void {
    this.#waitedMs += nowMs - (this.#waitingSinceMs ?? nowMs);
    this.#waitingSinceMs = null;
    this.#bytes += count;
  }

  /**
   * For how long the peer has sent nothing or, if that is more, by how much its batch is behind 64 KiB a second;
   * 0 while nothing is read.
   */
  lateMs(nowMs: number): number {
    if (this.#waitingSinceMs === null) return 0;
    const stillMs = nowMs - this.#waitingSinceMs;
    return Math.max(stillMs, this.#waitedMs + stillMs - this.#bytes / RATE_BYTES_PER_MS);
  }
}

/**
 * How fast a peer sends the batch that its connection is in the middle of, or takes its answers. Only time counts
 * in which the connection waits for that.
 */

/** What a peer need send, or take, at the least while others wait for its piece of memory. */
const RATE_BYTES_PER_MS = 64 * 1024 / 1000;

export class BatchPace {
  /** Since when the present read or write waits; null between them. */
  #waitingSinceMs: number | null = null;
  /** How long those before it have waited. */
  #waitedMs = 0;
  #bytes = 0;

  /** Something else begins, or goes on in another piece; `bytes` of it are there. */
  restart(bytes: number): void {
    this.#waitedMs = 0;
    this.#bytes = bytes;
  }

  begin(nowMs: number): void {
    this.#waitingSinceMs = nowMs;
  }

  /** `count` bytes have come or gone. */
  end(count: number, nowMs: number): void {
    this.#waitedMs += nowMs - (this.#waitingSinceMs ?? nowMs);
    this.#waitingSinceMs = null;
    this.#bytes += count;
  }

  /**
   * For how long the peer has done nothing or, if that is more, by how much it is behind 64 KiB a second; 0 while
   * the connection does not wait.
   */
  lateMs(nowMs: number): number {
    if (this.#waitingSinceMs === null) return 0;
    const stillMs = nowMs - this.#waitingSinceMs;
    return Math.max(stillMs, this.#waitedMs + stillMs - this.#bytes / RATE_BYTES_PER_MS);
  }
}

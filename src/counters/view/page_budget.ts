/**
 * Bounds the memory for cached pages of the keyspaces that a reader has open. The first two get a large
 * cache, because most readers ask for one or two large keyspaces. All others get a small one.
 */

const LARGE_MAX = 2;
const LARGE_BYTES = 64 * 1024 * 1024;
const SMALL_BYTES = 1024 * 1024;

export class PageBudget {
  #large = 0;

  /** Bytes that a file may use for its pages. The caller releases them when it closes the file. */
  take(): number {
    if (this.#large === LARGE_MAX) return SMALL_BYTES;
    this.#large++;
    return LARGE_BYTES;
  }

  release(bytes: number): void {
    if (bytes === LARGE_BYTES) this.#large--;
  }
}

/**
 * Memory for the pages of the keyspaces that a reader has open. Most readers have one or two large
 * keyspaces, which get room to keep their pages; any number of others makes do with a little.
 */

const LARGE_MAX = 2;
const LARGE_BYTES = 64 * 1024 * 1024;
const SMALL_BYTES = 1024 * 1024;

export class PageBudget {
  #large = 0;

  /** What a file that is being opened may take for its pages; to be given back when it is closed. */
  take(): number {
    if (this.#large === LARGE_MAX) return SMALL_BYTES;
    this.#large++;
    return LARGE_BYTES;
  }

  giveBack(bytes: number): void {
    if (bytes === LARGE_BYTES) this.#large--;
  }
}

/**
 * Memory for replies that their peers have not taken yet, of all connections together. One reply may have
 * some 17 MB, so many slow peers that ask for the most must wait for each other.
 */

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export class OutputBudget {
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** Resolves when less than the bound is waiting for peers. */
  async whenRoom(): Promise<void> {
    while (this.#bytes >= OUTPUT_BYTES_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  take(bytes: number): void {
    this.#bytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes < OUTPUT_BYTES_MAX) this.#waiting.shift()?.();
  }
}

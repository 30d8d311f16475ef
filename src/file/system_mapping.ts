/** A mapping of the running system behind `Mapping`. */

import { type MappedMemory, OsError, pageSizeBytes } from "../../ffi/mod.ts";
import type { Mapping } from "./storage.ts";

export class SystemMapping implements Mapping {
  readonly #memory: MappedMemory;
  readonly #bytes: Uint8Array;
  /** Calls on other threads that use the memory: it stays mapped until they are through. */
  #callsInFlight = 0;
  #releaseWhenIdle = false;

  constructor(memory: MappedMemory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  get length(): number {
    return this.#memory.length;
  }

  get bytes(): Uint8Array {
    if (!this.#memory.isMapped || this.#releaseWhenIdle) {
      throw new OsError("use mapping of", this.#memory.path, "EBADF");
    }
    return this.#bytes;
  }

  flush(offset: number, length: number): void {
    const { start, end } = wholePages(offset, length);
    this.#memory.flush(start, end - start);
  }

  populate(offset: number, length: number): void {
    const { start, end } = wholePages(offset, length);
    this.#memory.populate(start, end - start);
  }

  async populateAsync(offset: number, length: number): Promise<void> {
    const { start, end } = wholePages(offset, length);
    this.#callsInFlight++;
    try {
      await this.#memory.populateAsync(start, end - start);
    } finally {
      this.#callsInFlight--;
      if (this.#releaseWhenIdle && this.#callsInFlight === 0) this.#memory.unmap();
    }
  }

  release(): void {
    if (this.#callsInFlight > 0) this.#releaseWhenIdle = true;
    else this.#memory.unmap();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function wholePages(offset: number, length: number): { start: number; end: number } {
  return {
    start: Math.floor(offset / pageSizeBytes) * pageSizeBytes,
    end: Math.ceil((offset + length) / pageSizeBytes) * pageSizeBytes,
  };
}

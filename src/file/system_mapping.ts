/** `Mapping` over mapped memory of the running system. */

import { type MappedMemory, OsError, PAGE_SIZE_BYTES } from "../../ffi/mod.ts";
import type { Mapping } from "./storage.ts";

export class SystemMapping implements Mapping {
  readonly #memory: MappedMemory;
  readonly #bytes: Uint8Array;

  constructor(memory: MappedMemory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  get length(): number {
    return this.#memory.length;
  }

  get bytes(): Uint8Array {
    if (!this.#memory.isMapped) {
      throw new OsError("use mapping of", this.#memory.path, "EBADF");
    }
    return this.#bytes;
  }

  flush(offset: number, length: number): void {
    const { start, end } = wholePages(offset, length);
    this.#memory.flush(start, end - start);
  }

  release(): void {
    this.#memory.unmap();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function wholePages(offset: number, length: number): { start: number; end: number } {
  return {
    start: Math.floor(offset / PAGE_SIZE_BYTES) * PAGE_SIZE_BYTES,
    end: Math.ceil((offset + length) / PAGE_SIZE_BYTES) * PAGE_SIZE_BYTES,
  };
}

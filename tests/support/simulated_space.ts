/** The space of the simulated disk, and which of its pages a file has. */

export const PAGE_BYTES = 4096;

/** Space that all files of one disk share. */
export interface Space {
  freePages: number;
  readonly totalPages: number;
  /** Stores through a mapping into bytes that were never allocated: each could have been a SIGBUS. */
  storesIntoHoles: number;
}

/** The pages of one file that have space on the disk; the others are holes. */
export class FilePages {
  readonly #space: Space;
  #taken = new Uint8Array(0);
  #count = 0;

  constructor(space: Space) {
    this.#space = space;
  }

  get count(): number {
    return this.#count;
  }

  has(page: number): boolean {
    return this.#taken[page] === 1;
  }

  /**
   * Takes pages for a range; returns how many bytes from `offset` on are covered. If not `partly`, it takes
   * all of the range or nothing.
   */
  allocate(offset: number, length: number, options: { partly: boolean }): number {
    const first = Math.floor(offset / PAGE_BYTES);
    const end = Math.ceil((offset + length) / PAGE_BYTES);
    let missing = 0;
    for (let page = first; page < end; page++) if (!this.has(page)) missing++;
    if (missing > this.#space.freePages && !options.partly) return 0;
    for (let page = first; page < end; page++) {
      if (this.has(page)) continue;
      if (this.#space.freePages === 0) return Math.max(0, page * PAGE_BYTES - offset);
      this.take(page);
    }
    return length;
  }

  /** Takes a page that is a hole. */
  take(page: number): void {
    if (page >= this.#taken.length) {
      const grown = new Uint8Array(Math.max(page + 1, 2 * this.#taken.length));
      grown.set(this.#taken);
      this.#taken = grown;
    }
    this.#taken[page] = 1;
    this.#count++;
    this.#space.freePages--;
  }

  /** Gives back the pages from `first` on, before `end`. */
  give(first: number, end = Infinity): void {
    for (let page = first; page < Math.min(end, this.#taken.length); page++) {
      if (!this.has(page)) continue;
      this.#taken[page] = 0;
      this.#count--;
      this.#space.freePages++;
    }
  }

  /** Takes the pages that a file of another disk has, for a file that has none. */
  adopt(other: FilePages): void {
    this.#taken = new Uint8Array(other.#taken.length);
    for (let page = 0; page < other.#taken.length; page++) if (other.has(page)) this.take(page);
  }
}

export function roundUp(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

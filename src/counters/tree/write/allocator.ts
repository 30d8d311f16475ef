/**
 * Which pages may be written: free ones first, then new ones at the end of the file.
 *
 * Invariants:
 * 1. A page that a durable snapshot can reach is never handed out. A page that transaction T stopped
 *    using is handed out by T + 2 at the earliest: while T + 2 is written, both snapshots that the meta
 *    blocks name (T and T + 1) are whole.
 * 2. While the file is pinned nothing is handed out twice: only pages at the end.
 * 3. Every page that is handed out has its space on disk already, so a full disk shows here and not in
 *    a write. Pages that were trimmed are the exception: there the write says it, with the same effect.
 *
 * Nothing of this rests in the file: what is free is what no root reaches, found by walking the
 * branches when a writer opens (see `live_pages.ts`).
 */

import { assert } from "../../../base/assert.ts";
import type { StoredFile } from "../../../file/mod.ts";

const FREE = 0;
const TAKEN = 1;

/** Commits between freeing a page and writing it again. */
export const REUSE_AFTER_COMMITS = 2;

/** Bounds of how far the file grows at a time; between them a 64th of it. */
const EXTENT_PAGES_MIN = 4;
const EXTENT_BYTES_MAX = 4 * 1024 * 1024;

/** Shorter runs of free pages are not worth a hole in the file. */
const TRIM_BYTES_MIN = 64 * 1024;

export class PageAllocator {
  readonly #file: StoredFile;
  readonly #pageSize: number;
  /** One state for each page below the high-water mark. */
  #states: Uint8Array;
  #pageCount: number;
  /** Pages that the file has space for. */
  #allocatedPages: number;
  #freePages = 0;
  /** Where the search for a free page goes on. */
  #cursor: number;
  readonly #firstPage: number;
  /** Pages by the transaction that stopped using them. */
  readonly #pending = new Map<number, number[]>();
  #freedNow: number[] = [];
  #isPinned = false;

  constructor(
    file: StoredFile,
    options: {
      readonly pageSize: number;
      readonly firstPage: number;
      readonly pageCount: number;
      readonly fileBytes: number;
    },
  ) {
    assert(
      options.pageCount >= options.firstPage,
      "The high-water mark lies behind the meta blocks",
    );
    this.#file = file;
    this.#pageSize = options.pageSize;
    this.#firstPage = options.firstPage;
    this.#cursor = options.firstPage;
    this.#pageCount = options.pageCount;
    this.#allocatedPages = Math.floor(options.fileBytes / options.pageSize);
    this.#states = new Uint8Array(Math.max(64, options.pageCount * 2)).fill(TAKEN);
  }

  /** High-water mark: every page in use has a smaller number. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** Pages that the next `take` may hand out again. */
  get freePages(): number {
    return this.#freePages;
  }

  /** Says, when a writer opens, that a page is in nobody's use. */
  addFree(number: number): void {
    assert(number >= this.#firstPage && number < this.#pageCount, "A page lies inside the file");
    assert(this.#states[number] === TAKEN, "A page is released once");
    this.#states[number] = FREE;
    this.#freePages++;
  }

  /** Says, when a writer opens, that transaction `freedBy` stopped using a page. */
  addPending(number: number, freedBy: number): void {
    const pages = this.#pending.get(freedBy);
    if (pages === undefined) this.#pending.set(freedBy, [number]);
    else pages.push(number);
  }

  begin(transaction: number, { pinned }: { readonly pinned: boolean }): void {
    assert(this.#freedNow.length === 0, "One transaction at a time");
    this.#isPinned = pinned;
    this.#cursor = this.#firstPage;
    this.#releasePending(transaction);
  }

  /** Gives long runs of free pages back to the system, after `transaction`; returns the bytes. */
  trim(transaction: number): number {
    this.#releasePending(transaction + 1);
    let trimmed = 0;
    let start = this.#states.indexOf(FREE, this.#firstPage);
    while (start !== -1) {
      let end = start;
      while (this.#states[end] === FREE) end++;
      const bytes = (end - start) * this.#pageSize;
      if (bytes >= TRIM_BYTES_MIN && this.#file.deallocate(start * this.#pageSize, bytes)) {
        trimmed += bytes;
      }
      start = this.#states.indexOf(FREE, end);
    }
    return trimmed;
  }

  #releasePending(transaction: number): void {
    for (const [freedBy, pages] of this.#pending) {
      if (freedBy + REUSE_AFTER_COMMITS > transaction) continue;
      for (const number of pages) this.addFree(number);
      this.#pending.delete(freedBy);
    }
  }

  /** A page to write in this transaction. Throws ENOSPC with the file as it was. */
  take(): number {
    if (this.#freePages > 0 && !this.#isPinned) {
      const number = this.#states.indexOf(FREE, this.#cursor);
      assert(number !== -1 && number < this.#pageCount, "A free page lies behind the cursor");
      this.#states[number] = TAKEN;
      this.#freePages--;
      this.#cursor = number + 1;
      return number;
    }
    if (this.#pageCount === this.#allocatedPages) this.#extend();
    if (this.#pageCount === this.#states.length) this.#growStates();
    const number = this.#pageCount++;
    this.#states[number] = TAKEN;
    return number;
  }

  /** Notes that this transaction no longer uses a page. */
  free(number: number): void {
    this.#freedNow.push(number);
  }

  /** The transaction is published: what it freed begins to wait. */
  commit(transaction: number): void {
    if (this.#freedNow.length > 0) this.#pending.set(transaction, this.#freedNow);
    this.#freedNow = [];
  }

  #extend(): void {
    const pages = Math.min(
      Math.max(EXTENT_PAGES_MIN, this.#pageCount >> 6),
      Math.max(EXTENT_PAGES_MIN, Math.floor(EXTENT_BYTES_MAX / this.#pageSize)),
    );
    this.#file.allocate(this.#allocatedPages * this.#pageSize, pages * this.#pageSize);
    this.#allocatedPages += pages;
  }

  #growStates(): void {
    const grown = new Uint8Array(this.#states.length * 2).fill(TAKEN);
    grown.set(this.#states);
    this.#states = grown;
  }
}

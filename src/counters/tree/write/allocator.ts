/**
 * Allocates pages: free ones first, then new ones at the end of the file.
 *
 * Invariants:
 * 1. A page that a durable snapshot reaches is never allocated. A page that transaction T stopped using is
 *    allocated by T + 2 at the earliest. So while T + 2 is written, both snapshots of the meta blocks (T
 *    and T + 1) are whole.
 * 2. While the file is pinned, only pages at its end are allocated.
 * 3. Every allocated page has its space on disk already, so a full disk shows here and not in a write.
 *    Trimmed pages are the exception: their write fails instead, with the same effect.
 *
 * None of this is stored. What no root reaches is free: a writer finds it by walking the branches
 * (`walkPages`) when it first needs a page.
 */

import { assert } from "../../../base/assert.ts";
import type { PageFile } from "../pages/page.ts";

const FREE = 0;
const TAKEN = 1;

/** Commits between freeing a page and writing it again. */
export const REUSE_AFTER_COMMITS = 2;

/** Bounds of the growth of the file; between them it grows by a 64th of its size. */
const EXTENT_PAGES_MIN = 4;
const EXTENT_BYTES_MAX = 4 * 1024 * 1024;

/** Shorter runs of free pages are not worth a hole in the file. */
const TRIM_BYTES_MIN = 64 * 1024;

export class PageAllocator {
  readonly #file: PageFile;
  readonly #pageSize: number;
  /** One state for each page below the high-water mark. */
  #states: Uint8Array;
  #pageCount: number;
  /** Pages that the file has space for. */
  #allocatedPages: number;
  #freePages = 0;
  /** Where the search for a free page continues. */
  #cursor: number;
  readonly #firstPage: number;
  /** Pages by the transaction that stopped using them. */
  readonly #pending = new Map<number, number[]>();
  #freedNow: number[] = [];
  #isPinned = false;

  constructor(
    file: PageFile,
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

  /** Pages that the next `take` may use again. */
  get freePages(): number {
    return this.#freePages;
  }

  /** Pages of the newest transaction. */
  get livePages(): number {
    let waiting = this.#freePages;
    for (const pages of this.#pending.values()) waiting += pages.length;
    return this.#pageCount - this.#firstPage - waiting;
  }

  /** Adds a page that no snapshot uses. */
  addFree(number: number): void {
    assert(number >= this.#firstPage && number < this.#pageCount, "A page lies inside the file");
    assert(this.#states[number] === TAKEN, "A page is freed once");
    this.#states[number] = FREE;
    this.#freePages++;
  }

  /** Adds a page that transaction `freedBy` stopped using. */
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

  /** Returns the space of long runs of free pages to the system, after `transaction`. Returns the bytes. */
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

  /**
   * Allocates a page for this transaction. Throws `OsError` with ENOSPC if the disk is full; the file is
   * then as it was.
   */
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

  /** Ends a published transaction: the pages that it freed begin to wait. */
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

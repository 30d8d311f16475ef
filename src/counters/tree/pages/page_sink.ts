/**
 * Writes pages. They are laid out in one buffer and written in long runs, because pages that are allocated
 * one after the other are mostly adjacent.
 *
 * Invariant: a page is written only under a number that was allocated in this transaction, so never over a
 * live page.
 */

import { assert } from "../../../base/assert.ts";
import type { PageAllocator } from "../write/allocator.ts";
import { PAGE_HEADER_BYTES, type PageFile, sealPage } from "./page.ts";

/** The buffer begins small, because most folds write little to a keyspace, and grows as needed. */
const BUFFER_PAGES_MIN = 4;
const BUFFER_BYTES_MAX = 1024 * 1024;

export class PageSink {
  readonly pageSize: number;
  /** The buffer in which a page is laid out, from `base` on. */
  bytes: Uint8Array;
  view: DataView;
  base = 0;
  /** Pages written in this transaction. */
  pagesWritten = 0;
  /** Calls of `write` in this transaction. */
  writes = 0;

  readonly #file: PageFile;
  readonly #allocator: PageAllocator;
  #birth = 0;
  /** Number of the page at the start of the buffer. */
  #runStart = 0;
  #runPages = 0;
  #number = 0;
  #isOpen = false;

  constructor(file: PageFile, allocator: PageAllocator, pageSize: number) {
    this.#file = file;
    this.#allocator = allocator;
    this.pageSize = pageSize;
    this.bytes = new Uint8Array(BUFFER_PAGES_MIN * pageSize);
    this.view = new DataView(this.bytes.buffer);
  }

  get birth(): number {
    return this.#birth;
  }

  /** Begins a transaction, and drops what one that was rolled back left in the buffer. */
  start(transaction: number): void {
    this.#birth = transaction;
    this.#runPages = 0;
    this.#isOpen = false;
    this.pagesWritten = 0;
    this.writes = 0;
  }

  /** Begins a page of zeros at `base`; returns its number. */
  beginPage(): number {
    assert(!this.#isOpen, "One page is laid out at a time");
    const number = this.#allocator.take();
    const follows = number === this.#runStart + this.#runPages;
    if (!follows) this.flush();
    else if ((this.#runPages + 1) * this.pageSize > this.bytes.length) this.#growOrFlush();
    if (this.#runPages === 0) this.#runStart = number;
    this.base = this.#runPages * this.pageSize;
    this.bytes.fill(0, this.base, this.base + this.pageSize);
    this.#number = number;
    this.#isOpen = true;
    return number;
  }

  #growOrFlush(): void {
    if (this.bytes.length * 2 > BUFFER_BYTES_MAX) return this.flush();
    const larger = new Uint8Array(this.bytes.length * 2);
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  /** Ends the page that was begun, with its header. `end` counts from the start of the page. */
  endPage(
    kind: number,
    level: number,
    content: {
      readonly rows: number;
      readonly end: number;
      readonly prefix?: number;
      readonly width?: number;
    },
  ): void {
    assert(this.#isOpen, "A page is begun before it is ended");
    assert(content.end >= PAGE_HEADER_BYTES, "Rows end behind the header");
    sealPage(this.bytes, this.view, {
      base: this.base,
      pageSize: this.pageSize,
      identity: { number: this.#number, birth: this.#birth, kind, level },
      ...content,
    });
    this.#isOpen = false;
    this.#runPages++;
    this.pagesWritten++;
  }

  /** Writes the pages in the buffer. */
  flush(): void {
    if (this.#runPages === 0) return;
    const run = this.bytes.subarray(0, this.#runPages * this.pageSize);
    this.#file.write(run, this.#runStart * this.pageSize);
    this.writes++;
    this.#runPages = 0;
  }
}

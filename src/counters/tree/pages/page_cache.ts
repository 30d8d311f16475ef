/**
 * Pages for readers: copied out of the file, verified once, and kept while the cache has capacity.
 *
 * A copy cannot change while it is read. So whatever a writer does to the file, a page either is the one
 * that its parent means, by number, birth and checksum, or it is refused.
 *
 * Invariant: a frame in the cache was verified for its number and birth, and its rows are inside it.
 */

import type { StoredFile } from "../../../file/mod.ts";
import { PageFrame, pageProblem } from "./page.ts";
import { contentProblem, type PageSource } from "./page_source.ts";

/** A walk may hold this many frames while it asks for another. */
const FRAMES_MIN = 64;

const SLAB_BYTES = 1024 * 1024;

export class PageCache implements PageSource {
  /** Pages that were asked for, and those of them that had to be read. */
  touched = 0;
  read = 0;
  /** The number of pages by the current meta block. No page beyond it is accepted or kept. */
  pageCount = 0;

  readonly #file: StoredFile;
  readonly #pageSize: number;
  readonly #framesMax: number;
  /** By page number. */
  readonly #frames: (PageFrame | undefined)[] = [];
  /** All frames, in the order of the clock hand. */
  readonly #clock: PageFrame[] = [];
  #hand = 0;
  /** The rest of the memory out of which frames are made. */
  #slab = new Uint8Array(0);
  readonly #refuse: (number: number, problem: string) => never;

  constructor(
    file: StoredFile,
    { pageSize, bytesMax, refuse }: {
      readonly pageSize: number;
      readonly bytesMax: number;
      /** Throws the error for a page that is not what its pointer says. */
      readonly refuse: (number: number, problem: string) => never;
    },
  ) {
    this.#file = file;
    this.#pageSize = pageSize;
    this.#framesMax = Math.max(FRAMES_MIN, Math.floor(bytesMax / pageSize));
    this.#refuse = refuse;
  }

  page(number: number, birth: number, kind: number, level: number): PageFrame {
    this.touched++;
    const frame = this.#frames[number];
    if (
      frame !== undefined && frame.birth === birth &&
      frame.kind === kind && frame.level === level
    ) {
      frame.used = true;
      return frame;
    }
    return this.#load(number, birth, kind, level);
  }

  #load(number: number, birth: number, kind: number, level: number): PageFrame {
    if (number >= this.pageCount) this.#refuse(number, "it lies past the last page");
    this.read++;
    while (this.#frames.length <= number) this.#frames.push(undefined);
    const frame = this.#frames[number] ?? this.#spare();
    this.#frames[number] = undefined;
    frame.number = -1;
    const bytes = this.#file.read(frame.bytes, number * this.#pageSize);
    const problem = bytes < this.#pageSize
      ? "the file ends before the page does"
      : pageProblem(frame, { number, birth, kind, level }) ?? contentProblem(frame, kind);
    if (problem !== null) this.#refuse(number, problem);
    frame.number = number;
    frame.birth = birth;
    frame.kind = kind;
    frame.level = level;
    frame.used = true;
    this.#frames[number] = frame;
    return frame;
  }

  /** A frame without a page. */
  #spare(): PageFrame {
    if (this.#clock.length < this.#framesMax) {
      if (this.#slab.length < this.#pageSize) this.#slab = new Uint8Array(SLAB_BYTES);
      const frame = new PageFrame(this.#slab.subarray(0, this.#pageSize));
      this.#slab = this.#slab.subarray(this.#pageSize);
      this.#clock.push(frame);
      return frame;
    }
    while (true) {
      const frame = this.#clock[this.#hand]!;
      this.#hand = (this.#hand + 1) % this.#clock.length;
      if (frame.used && frame.number !== -1) {
        frame.used = false;
        continue;
      }
      if (frame.number !== -1) this.#frames[frame.number] = undefined;
      return frame;
    }
  }
}

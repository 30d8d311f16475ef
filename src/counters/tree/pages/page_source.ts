/** Reads pages of a snapshot by the pointers to them. */

import { CorruptError } from "../../../base/errors.ts";
import { isReadFailure } from "../../../file/mod.ts";
import { branchProblem } from "./branch.ts";
import { keyLeafProblem } from "./key_leaf.ts";
import {
  LEVEL_MAX,
  PAGE_KIND_KEY_BRANCH,
  PAGE_KIND_KEY_LEAF,
  PAGE_KIND_RANK_BRANCH,
  PAGE_KIND_RANK_LEAF,
  type PageFile,
  PageFrame,
  pageProblem,
} from "./page.ts";
import { rankLeafProblem } from "./rank_leaf.ts";

export interface PageSource {
  /** The page, verified. The frame is valid until the next page of its level is read. */
  page(number: number, birth: number, kind: number, level: number): PageFrame;
}

/** What is wrong with the content of a page whose frame is right, or null. */
export function contentProblem(frame: PageFrame, kind: number): string | null {
  if (kind === PAGE_KIND_KEY_LEAF) return keyLeafProblem(frame);
  if (kind === PAGE_KIND_RANK_LEAF) return rankLeafProblem(frame);
  if (kind === PAGE_KIND_KEY_BRANCH || kind === PAGE_KIND_RANK_BRANCH) return branchProblem(frame);
  return null;
}

/** Pages that are read at once if leaves are adjacent in the file: 256 KiB of the usual size. */
const READ_AHEAD_PAGES = 32;
/** Adjacent leaves that make a run. The two leaves of a keyspace of few counters are none. */
const RUN_LEAVES_MIN = 3;

/**
 * Reads pages of a file that no other process is changing, with one frame for each level. Leaves that are
 * read in the order of the file are read ahead, a run of them at a time.
 */
export class ScratchPages implements PageSource {
  readonly #file: PageFile;
  readonly #pageSize: number;
  readonly #frames: PageFrame[] = [];
  /** Leaves read ahead: `#ahead[i]` is page `#aheadStart + i`, for the first `#aheadPages`. */
  #ahead: PageFrame[] = [];
  #aheadBytes = new Uint8Array(0);
  #aheadStart = 0;
  #aheadPages = 0;
  #lastLeaf = -2;
  /** Adjacent leaves up to the last one. */
  #runLeaves = 0;
  /** Pages read since the beginning. */
  pagesRead = 0;

  constructor(file: PageFile, pageSize: number) {
    this.#file = file;
    this.#pageSize = pageSize;
  }

  /** Drops what was read ahead, because pages have been written since. */
  dropReadAhead(): void {
    this.#aheadPages = 0;
    this.#lastLeaf = -2;
  }

  page(number: number, birth: number, kind: number, level: number): PageFrame {
    if (level > LEVEL_MAX) throw this.corrupt(number, `level ${level} is out of range`);
    this.pagesRead++;
    const frame = (level === 0 ? this.#leafAhead(number) : null) ?? this.#read(number, level);
    const problem = pageProblem(frame, { number, birth, kind, level });
    if (problem !== null) throw this.corrupt(number, problem);
    frame.number = number;
    frame.birth = birth;
    return frame;
  }

  #read(number: number, level: number): PageFrame {
    let frame = this.#frames[level];
    if (frame === undefined) {
      frame = PageFrame.ofSize(this.#pageSize);
      this.#frames[level] = frame;
    }
    const bytes = this.#file.read(frame.bytes, number * this.#pageSize);
    if (bytes < this.#pageSize) throw this.corrupt(number, "the file ends before the page does");
    return frame;
  }

  /** A leaf that was read ahead, or that begins a run to read ahead because it follows the last one. */
  #leafAhead(number: number): PageFrame | null {
    this.#runLeaves = number === this.#lastLeaf + 1 ? this.#runLeaves + 1 : 1;
    this.#lastLeaf = number;
    const index = number - this.#aheadStart;
    if (index >= 0 && index < this.#aheadPages) return this.#ahead[index]!;
    if (this.#runLeaves < RUN_LEAVES_MIN) return null;
    if (this.#ahead.length === 0) {
      this.#aheadBytes = new Uint8Array(READ_AHEAD_PAGES * this.#pageSize);
      for (let at = 0; at < this.#aheadBytes.length; at += this.#pageSize) {
        this.#ahead.push(new PageFrame(this.#aheadBytes.subarray(at, at + this.#pageSize)));
      }
    }
    this.#aheadStart = number;
    this.#aheadPages = 0;
    try {
      const bytes = this.#file.read(this.#aheadBytes, number * this.#pageSize);
      this.#aheadPages = Math.floor(bytes / this.#pageSize);
    } catch (error) {
      // The unreadable page may be one behind this, which may not be needed.
      if (!isReadFailure(error)) throw error;
    }
    return this.#aheadPages > 0 ? this.#ahead[0]! : null;
  }

  corrupt(number: number, problem: string): CorruptError {
    const offset = number * this.#pageSize;
    return new CorruptError(
      `Damaged page ${number} at byte ${offset} of ${this.#file.path}: ${problem}`,
      { path: this.#file.path, offset },
    );
  }
}

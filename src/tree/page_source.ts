/** Pages of a snapshot, by what their pointer says. */

import { CorruptError } from "../base/errors.ts";
import type { StoredFile } from "../file/mod.ts";
import { branchProblem } from "./branch.ts";
import { keyLeafProblem } from "./key_leaf.ts";
import {
  LEVEL_MAX,
  PAGE_KIND_KEY_BRANCH,
  PAGE_KIND_KEY_LEAF,
  PAGE_KIND_RANK_BRANCH,
  PAGE_KIND_RANK_LEAF,
  PageFrame,
  pageProblem,
} from "./page.ts";
import { rankLeafProblem } from "./rank_leaf.ts";

export interface PageSource {
  /** The page, verified. The frame is good until the next page of the same level is asked for. */
  page(number: number, birth: number, kind: number, level: number): PageFrame;
}

/** What is wrong with the rows of a page whose frame is right, or null. */
export function contentProblem(frame: PageFrame, kind: number): string | null {
  if (kind === PAGE_KIND_KEY_LEAF) return keyLeafProblem(frame);
  if (kind === PAGE_KIND_RANK_LEAF) return rankLeafProblem(frame);
  if (kind === PAGE_KIND_KEY_BRANCH || kind === PAGE_KIND_RANK_BRANCH) return branchProblem(frame);
  return null;
}

/** Reads pages of a file that nobody else changes now: a writer's own, one frame for each level. */
export class ScratchPages implements PageSource {
  readonly #file: StoredFile;
  readonly #pageSize: number;
  readonly #frames: PageFrame[] = [];
  /** Pages read since the beginning. */
  pagesRead = 0;

  constructor(file: StoredFile, pageSize: number) {
    this.#file = file;
    this.#pageSize = pageSize;
  }

  page(number: number, birth: number, kind: number, level: number): PageFrame {
    if (level > LEVEL_MAX) throw this.corrupt(number, `level ${level} is out of range`);
    let frame = this.#frames[level];
    if (frame === undefined) {
      frame = PageFrame.ofSize(this.#pageSize);
      this.#frames[level] = frame;
    }
    this.pagesRead++;
    const bytes = this.#file.read(frame.bytes, number * this.#pageSize);
    if (bytes < this.#pageSize) throw this.corrupt(number, "the file ends before the page does");
    const problem = pageProblem(frame, { number, birth, kind, level });
    if (problem !== null) throw this.corrupt(number, problem);
    frame.number = number;
    frame.birth = birth;
    return frame;
  }

  corrupt(number: number, problem: string): CorruptError {
    const offset = number * this.#pageSize;
    return new CorruptError(
      `Damaged page ${number} at byte ${offset} of ${this.#file.path}: ${problem}`,
      { path: this.#file.path, offset },
    );
  }
}

/** What `check` reports: broken rules, by the numbers of README.md. */

/** A broken rule: its number in README.md, its place, and a sentence. */
export interface Violation {
  readonly invariant: number;
  readonly path: string;
  readonly offset: number;
  readonly message: string;
}

export const CHECK_HEAD = 1;
export const CHECK_SIZE = 2;
export const CHECK_PAGE = 3;
export const CHECK_ONCE = 4;
export const CHECK_CONTENT = 5;
export const CHECK_KEY_ORDER = 6;
export const CHECK_RANK_ORDER = 7;
export const CHECK_COUNTED = 8;
export const CHECK_SAME_COUNTERS = 9;
export const CHECK_GENERATIONS = 10;
export const CHECK_SUM = 11;

/** More violations would say nothing new about a file. */
const VIOLATIONS_MAX = 100;

/** Collects violations, up to a limit. */
export class ViolationList {
  readonly found: Violation[] = [];

  constructor(readonly path: string) {}

  add(invariant: number, offset: number, message: string): void {
    if (this.isFull) return;
    this.found.push({ invariant, path: this.path, offset, message });
  }

  get isFull(): boolean {
    return this.found.length >= VIOLATIONS_MAX;
  }
}

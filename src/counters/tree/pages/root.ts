/** The root of a tree. */

import {
  PAGE_KIND_KEY_BRANCH,
  PAGE_KIND_KEY_LEAF,
  PAGE_KIND_RANK_BRANCH,
  PAGE_KIND_RANK_LEAF,
} from "./page.ts";

/** A pointer to the topmost page of a tree. A tree without rows has no page, and `rows` is 0. */
export interface Root {
  readonly number: number;
  readonly birth: number;
  readonly level: number;
  readonly rows: number;
}

export const EMPTY_ROOT: Root = Object.freeze({ number: 0, birth: 0, level: 0, rows: 0 });

/** The two sort orders of a keyspace. */
export type Order = "key" | "rank";

/** Kind of the pages at a level of a tree. */
export function kindOf(order: Order, level: number): number {
  if (order === "key") return level === 0 ? PAGE_KIND_KEY_LEAF : PAGE_KIND_KEY_BRANCH;
  return level === 0 ? PAGE_KIND_RANK_LEAF : PAGE_KIND_RANK_BRANCH;
}

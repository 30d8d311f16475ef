/**
 * Copies the rows of a long page in steps: 65,536 long rows take 30 ms and more. While a copy is under way its
 * view stays as it is. So whatever needs the view first goes on with the copy.
 */

import { SnapshotLostError } from "../keyspace/mod.ts";
import type { RefreshLimit } from "./refresh_limit.ts";
import type { Overlay, RowsLeft } from "./ranking/overlay.ts";
import type { RowBuffer } from "./ranking/row_buffer.ts";

/** A millisecond or so. */
const ROWS_A_STEP = 2048;

export class RowCopy {
  readonly total: number;
  readonly rows: number;
  readonly #ranking: Overlay;
  readonly #out: RowBuffer;
  readonly #onGrown: () => void;
  readonly #rest: RowsLeft;
  #isLost = false;
  #failure: unknown = null;

  /** Finds the rows of a page. `onGrown` is called after rows were appended to `out`. */
  constructor(
    ranking: Overlay,
    { offset, length }: { readonly offset: number; readonly length: number },
    out: RowBuffer,
    onGrown: () => void,
  ) {
    this.#ranking = ranking;
    this.#out = out;
    this.#onGrown = onGrown;
    this.#rest = ranking.rowsFrom(offset, length);
    this.rows = this.#rest.left;
    this.total = ranking.total();
  }

  /** True if the view has changed before the end: then what was copied is of no use. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** What ended the copy, if that is not a lost snapshot. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Copies rows until the time is used up; true at the end. Never throws. */
  advance(limit?: RefreshLimit): boolean {
    while (!this.#isLost && this.#rest.left > 0) {
      try {
        this.#ranking.copySome(this.#rest, ROWS_A_STEP, this.#out);
      } catch (error) {
        if (!(error instanceof SnapshotLostError)) this.#failure = error;
        this.lose();
        break;
      }
      this.#onGrown();
      if (this.#rest.left > 0 && limit?.isUsedUp) return false;
    }
    return true;
  }

  /** Ends the copy: its view changes, or the rows are not wanted any more. */
  lose(): void {
    if (this.#rest.left > 0) this.#isLost = true;
  }
}

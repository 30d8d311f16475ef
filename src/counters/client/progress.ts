/** The progress bar of `load`. */

import type { Clock } from "../../base/clock.ts";

const REDRAW_MS = 100;
const BAR_CELLS = 24;

/** How far a load has come. */
export interface ProgressState {
  /** Bytes of the input so far. */
  readonly bytes: number;
  /** Length of the input in bytes; null if it is not known. */
  readonly bytesTotal: number | null;
  /** Lines of the input so far. */
  readonly lines: number;
}

/**
 * A progress bar that is redrawn in place on a terminal, at most ten times a second. If the length of the
 * input is not known, only the counts are shown.
 */
export class Progress {
  readonly #write: (text: string) => void;
  readonly #clock: Clock;
  readonly #startMs: number;
  #nextMs: number;
  #isDrawn = false;

  /** `write` writes text to the terminal; `clock` tells when to redraw, and the speed. */
  constructor(write: (text: string) => void, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
    this.#startMs = clock.nowMs();
    this.#nextMs = this.#startMs + REDRAW_MS;
  }

  /** Draws the bar if it is time. Cheap to call often. */
  update(state: ProgressState): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + REDRAW_MS;
    this.#write(`\r${progressText(state, nowMs - this.#startMs)}\x1b[K`);
    this.#isDrawn = true;
  }

  /** Erase the bar, so that a message can be printed on its line. */
  clear(): void {
    if (this.#isDrawn) this.#write("\r\x1b[K");
    this.#isDrawn = false;
  }
}

/** The bar as one line after `elapsedMs`, such as `[######------] 50%  1,200,000 lines  800,000/s`. */
export function progressText(state: ProgressState, elapsedMs: number): string {
  const perSecond = elapsedMs > 0 ? Math.round((state.lines * 1000) / elapsedMs) : 0;
  const counts = `${state.lines.toLocaleString("en")} lines  ${perSecond.toLocaleString("en")}/s`;
  if (state.bytesTotal === null || state.bytesTotal === 0) return counts;
  const fraction = Math.min(1, state.bytes / state.bytesTotal);
  const full = Math.floor(fraction * BAR_CELLS);
  const bar = "#".repeat(full) + "-".repeat(BAR_CELLS - full);
  return `[${bar}] ${String(Math.floor(fraction * 100)).padStart(3)}%  ${counts}`;
}

/**
 * Shares the event loop between all connections of a process. A turn is the work between two checks of the
 * sockets. It is measured as processor time, because wall time also passes while other programs work.
 *
 * A connection works for a slice. A slice begins only if it fits into the turn, else it waits in a queue for
 * a later turn. Connections that have just received something wait before those that have used up a slice.
 */

import type { Clock } from "../base/clock.ts";
import type { Metric, Metrics } from "../base/metrics.ts";
import { threadTimeMs } from "../../ffi/mod.ts";
import { LoopCheck } from "./loop_check.ts";

/** How long one connection may work before other connections get a turn. */
export const SLICE_MS = 5;
/** A slice begins only if it ends before this. The rest, up to 20 ms, is for work that cannot be cut. */
const TURN_MS = 15;
const SLICES_A_TURN = TURN_MS / SLICE_MS;

export class LoopTurn implements Disposable {
  readonly #check: LoopCheck;
  readonly #longestSeconds: Metric | null;
  readonly #processorMs: () => number;
  /** Processor time of the connections since the last check. */
  #usedMs = 0;
  /** Slices that may begin, and have not ended yet. */
  #places = 0;
  #number = 0;
  /** Resolve those that wait: the ones that have just received something, and the others. */
  readonly #first: (() => void)[] = [];
  readonly #others: (() => void)[] = [];
  #isAdmitting = false;

  constructor(
    { clock, metrics }: { readonly clock: Clock; readonly metrics?: Metrics },
    processorMs: () => number = threadTimeMs,
  ) {
    this.#check = new LoopCheck(clock);
    this.#longestSeconds = metrics?.gauge("countd_event_loop_turn_seconds") ?? null;
    this.#processorMs = processorMs;
  }

  /** Processor time of this thread: what `spend` takes is a difference of two readings. */
  nowMs(): number {
    return this.#processorMs();
  }

  /** Counts work of a connection, and gives back its place if it had one. */
  spend(workedMs: number, { hadPlace }: { readonly hadPlace: boolean }): void {
    this.#usedMs += workedMs;
    if (hadPlace) this.#places = Math.max(0, this.#places - 1);
    const seconds = this.#usedMs / 1000;
    if (this.#longestSeconds !== null && seconds > this.#longestSeconds.value) {
      this.#longestSeconds.value = seconds;
    }
  }

  /** Changes with each check: a place is one in the turn with this number. */
  get number(): number {
    return this.#number;
  }

  /**
   * Takes a place for a slice in this turn; false if there is none. Many connections may ask before the first
   * of them works.
   */
  takePlace(): boolean {
    const isFree = this.#usedMs + (this.#places + 1) * SLICE_MS <= TURN_MS;
    if (!isFree || this.#isAdmitting) return false;
    this.#places++;
    return true;
  }

  /** Resolves with a place in a later turn, when all input up to now has been delivered. */
  next({ isFirst }: { readonly isFirst: boolean }): Promise<void> {
    return new Promise((resolve) => {
      (isFirst ? this.#first : this.#others).push(resolve);
      if (!this.#isAdmitting) void this.#admit();
    });
  }

  async #admit(): Promise<void> {
    this.#isAdmitting = true;
    while (this.#first.length + this.#others.length > 0) {
      await this.#check.next();
      this.#usedMs = 0;
      // One at least of those that have used up a slice: many small requests do not stop them either.
      const firstMax = this.#others.length > 0 ? SLICES_A_TURN - 1 : SLICES_A_TURN;
      const admitted = this.#first.splice(0, firstMax);
      admitted.push(...this.#others.splice(0, SLICES_A_TURN - admitted.length));
      // A place that was taken before and not used is lost.
      this.#number++;
      this.#places = admitted.length;
      for (const resolve of admitted) resolve();
    }
    this.#isAdmitting = false;
  }

  [Symbol.dispose](): void {
    this.#check[Symbol.dispose]();
  }
}

/** The time that one connection has worked since other connections last had a turn. */
export class LoopSlice {
  readonly #turn: LoopTurn;
  #workedMs = 0;
  #startMs = 0;
  /** Number of the turn in which it has a place; −1 for none. */
  #placeIn = -1;

  constructor(turn: LoopTurn) {
    this.#turn = turn;
  }

  /** Starts the time of a piece of work. */
  begin(): void {
    this.#startMs = this.#turn.nowMs();
  }

  /** True if the current work should stop here. A system call: too slow to ask for every record. */
  get isUsedUp(): boolean {
    return this.#workedMs + this.#turn.nowMs() - this.#startMs >= SLICE_MS;
  }

  /** Stops the time: the work ends, or waits for something. */
  end(): void {
    const workedMs = this.#turn.nowMs() - this.#startMs;
    this.#workedMs += workedMs;
    this.#turn.spend(workedMs, { hadPlace: this.#placeIn === this.#turn.number });
    this.#placeIn = -1;
  }

  /** After the connection has received something, for which it has waited: a new slice. */
  async received(): Promise<void> {
    this.#workedMs = 0;
    await this.#takePlace();
  }

  /** Gives other connections a turn if the slice is used up, or if the turn is. */
  async giveWay(): Promise<void> {
    if (this.#workedMs >= SLICE_MS) {
      this.#workedMs = 0;
      await this.#turn.next({ isFirst: false });
      this.#placeIn = this.#turn.number;
    } else await this.#takePlace();
  }

  async #takePlace(): Promise<void> {
    if (this.#placeIn === this.#turn.number) return;
    if (!this.#turn.takePlace()) await this.#turn.next({ isFirst: true });
    this.#placeIn = this.#turn.number;
  }
}

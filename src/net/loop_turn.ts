/**
 * Shares the event loop between all connections of a process. A turn is the work between two checks of the
 * sockets. It is measured as processor time, because wall time also passes while other programs work.
 *
 * A connection works for a slice. A slice begins only if it fits into the turn, else it waits in a queue for
 * a later turn. A connection that has received little, and has not worked much, is quick: it gets a short
 * slice, and waits only for other quick ones.
 */

import type { Clock } from "../base/clock.ts";
import type { Metric, Metrics } from "../base/metrics.ts";
import { threadTimeMs } from "../../ffi/mod.ts";
import { LoopCheck } from "./loop_check.ts";
import { LoopTime } from "./loop_time.ts";

/** How long one connection may work before other connections get a turn. */
const SLICE_MS = 5;
/** And a quick one, before it counts as one of the others. */
const QUICK_SLICE_MS = 1;
/** A connection that has received more is not quick. */
const QUICK_BYTES_MAX = 4096;
/** A slice begins only if it ends before this. The rest, up to 20 ms, is for work that cannot be cut. */
const TURN_MS = 15;
/** What a connection has worked counts half after so long. */
const HALF_LIFE_MS = 100;
/** At most so many awaits lie between a promise of time and the work: a read returns through a few functions. */
const AWAITS_MAX = 16;

export class LoopTurn implements Disposable {
  readonly clock: Clock;
  /** Measures the pieces of work. */
  readonly time: LoopTime;
  readonly #check: LoopCheck;
  readonly #longestSeconds: Metric | null;
  /** Processor time of the connections since the last check. */
  #usedMs = 0;
  /** Time of slices that may begin, and have not ended yet. */
  #promisedMs = 0;
  #number = 0;
  /** Resolve those that wait. */
  readonly #quick: (() => void)[] = [];
  readonly #others: (() => void)[] = [];
  #isAdmitting = false;

  constructor(
    { clock, metrics }: { readonly clock: Clock; readonly metrics?: Metrics },
    processorMs: () => number = threadTimeMs,
  ) {
    this.clock = clock;
    this.#check = new LoopCheck(clock);
    this.#longestSeconds = metrics?.gauge("countd_event_loop_turn_seconds") ?? null;
    this.time = new LoopTime(clock, processorMs);
  }

  /** Counts work of a connection, to which `promisedMs` of this turn were promised. */
  spend(workedMs: number, promisedMs: number): void {
    this.#usedMs += workedMs;
    this.#promisedMs = Math.max(0, this.#promisedMs - promisedMs);
    const seconds = this.#usedMs / 1000;
    if (this.#longestSeconds !== null && seconds > this.#longestSeconds.value) {
      this.#longestSeconds.value = seconds;
    }
  }

  /** Changes with each check: time is promised in the turn with this number. */
  get number(): number {
    return this.#number;
  }

  /**
   * Promises time of this turn; false if there is not enough. Many connections may ask before the first of
   * them works.
   */
  promise(sliceMs: number): boolean {
    if (this.#isAdmitting || this.#usedMs + this.#promisedMs + sliceMs > TURN_MS) return false;
    this.#promisedMs += sliceMs;
    return true;
  }

  /** Resolves in a later turn, with a slice of it, when all input up to now has been delivered. */
  next({ isQuick }: { readonly isQuick: boolean }): Promise<void> {
    return new Promise((resolve) => {
      (isQuick ? this.#quick : this.#others).push(resolve);
      if (!this.#isAdmitting) void this.#admit();
    });
  }

  async #admit(): Promise<void> {
    this.#isAdmitting = true;
    while (this.#quick.length + this.#others.length > 0) {
      // Most use less than was promised to them: a check of the sockets costs more than a few awaits.
      for (let awaits = 0; this.#promisedMs > 0 && awaits < AWAITS_MAX; awaits++) await null;
      // What has not begun is closed, or waits for something else: its promise is void.
      if (this.#promisedMs > 0) this.#number++;
      this.#promisedMs = 0;
      if (this.#usedMs + SLICE_MS > TURN_MS) {
        await this.#check.next();
        this.#number++;
        this.#usedMs = this.#promisedMs = 0;
      }
      const leftMs = TURN_MS - this.#usedMs;
      // One of the others at least: many quick ones do not stop them.
      const forOthersMs = this.#others.length > 0 ? SLICE_MS : 0;
      const quick = this.#quick.splice(0, Math.floor((leftMs - forOthersMs) / QUICK_SLICE_MS));
      const quickMs = quick.length * QUICK_SLICE_MS;
      const others = this.#others.splice(0, Math.floor((leftMs - quickMs) / SLICE_MS));
      this.#promisedMs = quickMs + others.length * SLICE_MS;
      for (const resolve of [...quick, ...others]) resolve();
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
  #isQuick = true;
  /** Number of the turn in which time is promised to it; −1 for none. */
  #promisedIn = -1;
  /** What it had worked lately when its last piece of work began. */
  #latelyMs = 0;
  #latelyStartMs = 0;

  constructor(turn: LoopTurn) {
    this.#turn = turn;
  }

  /** Starts the time of a piece of work. */
  begin(): void {
    this.#startMs = this.#turn.time.startMs();
  }

  /** True if the current work should stop here. Too slow to ask for every record. */
  get isUsedUp(): boolean {
    return this.#workedMs + this.#turn.time.workedMs(this.#startMs) >= this.#limitMs;
  }

  /** Stops the time: the work ends, or waits for something. */
  end(): void {
    const workedMs = this.#turn.time.workedMs(this.#startMs);
    this.#workedMs += workedMs;
    this.#latelyMs = this.#latelyAt(this.#startMs) + workedMs;
    this.#latelyStartMs = this.#startMs;
    this.#turn.spend(workedMs, this.#promisedIn === this.#turn.number ? this.#limitMs : 0);
    this.#promisedIn = -1;
  }

  /** A new slice for a connection that has waited for what it has now received. A promise if it has to wait. */
  received(bytes: number): Promise<void> | undefined {
    this.#workedMs = 0;
    this.#isQuick = bytes <= QUICK_BYTES_MAX &&
      this.#latelyAt(this.#turn.clock.nowMs()) < SLICE_MS;
    return this.#takeTime();
  }

  /** Gives other connections a turn if the slice is used up, or if the turn is. */
  giveWay(): Promise<void> | undefined {
    if (this.#workedMs < this.#limitMs) return this.#takeTime();
    this.#workedMs = 0;
    this.#isQuick = false;
    return this.#waitForTime();
  }

  get #limitMs(): number {
    return this.#isQuick ? QUICK_SLICE_MS : SLICE_MS;
  }

  #latelyAt(nowMs: number): number {
    return this.#latelyMs * 0.5 ** ((nowMs - this.#latelyStartMs) / HALF_LIFE_MS);
  }

  /** Undefined if the time is promised at once, as it mostly is. */
  #takeTime(): Promise<void> | undefined {
    if (this.#promisedIn === this.#turn.number) return;
    if (!this.#turn.promise(this.#limitMs)) return this.#waitForTime();
    this.#promisedIn = this.#turn.number;
  }

  async #waitForTime(): Promise<void> {
    await this.#turn.next({ isQuick: this.#isQuick });
    this.#promisedIn = this.#turn.number;
  }
}

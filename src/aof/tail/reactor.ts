/**
 * Polls tasks on the event loop: once when they are spawned, when they are woken, and at intervals.
 * A wake is a flag and a place in a queue, so any number of wakes before the next turn make one poll,
 * and none is lost. Tasks never run inside the call that wakes them. Tasks that wake themselves are
 * polled again in the same turn, a bounded number of times and for a bounded time, so that a tailer
 * that takes a long file piece by piece does not pay a turn for each.
 */

import { clearImmediate, setImmediate } from "node:timers";
import { type Clock, systemClock } from "../../base/clock.ts";
import { ErrClosed } from "../file/errors.ts";

const ROUNDS_IN_TURN_MAX = 64;
const TURN_MS_MAX = 1;

/** Why a task is polled. */
export enum PollReason {
  Start = 0,
  Wake = 1,
  Interval = 2,
}

export interface PollContext {
  /** Monotonic milliseconds. */
  readonly timeMs: number;
  readonly reason: PollReason;
}

export interface Task {
  poll(context: PollContext): void;
}

/** Takes what a task throws. */
export type ErrorFunc = (error: unknown) => void;

interface Entry {
  /** Null when it is not waiting for the next turn. */
  reason: PollReason | null;
  readonly interval: ReturnType<typeof setInterval> | null;
}

export class Reactor implements Disposable {
  readonly #clock: Clock;
  readonly #onError: ErrorFunc;
  readonly #entries = new Map<Task, Entry>();
  #woken: Task[] = [];
  #turn: ReturnType<typeof setImmediate> | null = null;
  #isClosed = false;

  /** `onError` is told what tasks throw; without it that is dropped, and the task goes on. */
  constructor({ clock = systemClock, onError = () => {} }: {
    readonly clock?: Clock;
    readonly onError?: ErrorFunc;
  } = {}) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Tasks that are polled now or later. */
  get size(): number {
    return this.#entries.size;
  }

  /** Takes a task on; it is polled in the next turn. `intervalMs` polls it also at intervals. */
  spawn(task: Task, { intervalMs }: { readonly intervalMs?: number | undefined } = {}): void {
    if (this.#isClosed) throw new ErrClosed("Cannot spawn a task: the reactor is closed");
    if (this.#entries.has(task)) return;
    const interval = intervalMs === undefined
      ? null
      : setInterval(() => this.#poll(task, PollReason.Interval), intervalMs);
    this.#entries.set(task, { reason: null, interval });
    this.#enqueue(task, PollReason.Start);
  }

  /** Polls a task in the next turn. One that was never spawned, or has left, stays still. */
  wake(task: Task): void {
    this.#enqueue(task, PollReason.Wake);
  }

  /** Lets a task go; it is not polled again. */
  remove(task: Task): void {
    const entry = this.#entries.get(task);
    if (entry === undefined) return;
    if (entry.interval !== null) clearInterval(entry.interval);
    this.#entries.delete(task);
    if (this.#entries.size === 0) this.#cancelTurn();
  }

  report(error: unknown): void {
    this.#onError(error);
  }

  /** Polls nothing any more. The tasks themselves are left as they are. */
  close(): void {
    this.#isClosed = true;
    for (const task of [...this.#entries.keys()]) this.remove(task);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #enqueue(task: Task, reason: PollReason): void {
    const entry = this.#entries.get(task);
    if (entry === undefined || entry.reason !== null) return;
    entry.reason = reason;
    this.#woken.push(task);
    this.#turn ??= setImmediate(() => this.#runTurn());
  }

  #runTurn(): void {
    this.#turn = null;
    const endMs = this.#clock.nowMs() + TURN_MS_MAX;
    for (let round = 0; round < ROUNDS_IN_TURN_MAX && this.#woken.length > 0; round++) {
      if (round > 0 && this.#clock.nowMs() >= endMs) break;
      this.#runRound();
    }
    if (this.#woken.length > 0) this.#turn ??= setImmediate(() => this.#runTurn());
  }

  #runRound(): void {
    const woken = this.#woken;
    this.#woken = [];
    for (const task of woken) {
      const entry = this.#entries.get(task);
      if (entry === undefined || entry.reason === null) continue;
      const { reason } = entry;
      entry.reason = null;
      this.#poll(task, reason);
    }
  }

  #poll(task: Task, reason: PollReason): void {
    try {
      task.poll({ timeMs: this.#clock.nowMs(), reason });
    } catch (error) {
      this.#onError(error);
    }
  }

  #cancelTurn(): void {
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#woken = [];
  }
}

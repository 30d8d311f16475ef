/**
 * Polls tasks on the event loop: once when they are spawned, when they are woken, and at intervals.
 * A wake is a flag and a place in a queue: any number of wakes before the next turn make one poll. No
 * wake is lost. Tasks never run inside the call that wakes them. Tasks that wake themselves are
 * polled again in the same turn, a bounded number of times and for a bounded time. So a tailer that
 * takes a long file piece by piece does not need a turn for each piece.
 */

import { clearImmediate, setImmediate } from "node:timers";
import { type Clock, systemClock } from "../../base/clock.ts";
import { ErrClosed } from "../file/errors.ts";

const ROUNDS_IN_TURN_MAX = 64;
const TURN_MS_MAX = 1;

/** Why a task is polled. */
export enum PollReason {
  /** The task was spawned. */
  Start = 0,
  /** The task was woken. */
  Wake = 1,
  /** The interval of the task has passed. */
  Interval = 2,
}

/** When and why a task is polled. */
export interface PollContext {
  /** Time of the poll, in milliseconds of the monotonic clock. */
  readonly timeMs: number;
  /** Why the task is polled. */
  readonly reason: PollReason;
}

/** Something that a reactor polls. */
export interface Task {
  /** Do what there is to do, and return. What it throws goes to the reactor's `onError`. */
  poll(context: PollContext): void;
}

/** Receives an error that has no caller to go to. */
export type ErrorFunc = (error: unknown) => void;

interface Entry {
  /** Null when it is not waiting for the next turn. */
  reason: PollReason | null;
  readonly interval: ReturnType<typeof setInterval> | null;
}

/**
 * Polls tasks, such as tailers, on the event loop. Several files may share one reactor. Tasks that are
 * spawned without an interval do not keep the process alive. Continues `Reactor` of kirana.
 */
export class Reactor implements Disposable {
  readonly #clock: Clock;
  readonly #onError: ErrorFunc;
  readonly #entries = new Map<Task, Entry>();
  #woken: Task[] = [];
  #turn: ReturnType<typeof setImmediate> | null = null;
  #isClosed = false;

  /** Make a reactor. `onError` gets what tasks throw; without it errors are dropped. The task goes on. */
  constructor({ clock = systemClock, onError = () => {} }: {
    readonly clock?: Clock;
    readonly onError?: ErrorFunc;
  } = {}) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Number of the spawned tasks. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Accept a task, and poll it in the next turn of the event loop. With `intervalMs` it is also polled at
   * that interval, in milliseconds. A task that was spawned already is left as it is. Throws `ErrClosed`.
   */
  spawn(task: Task, { intervalMs }: { readonly intervalMs?: number | undefined } = {}): void {
    if (this.#isClosed) throw new ErrClosed("Cannot spawn a task: the reactor is closed");
    if (this.#entries.has(task)) return;
    const interval = intervalMs === undefined
      ? null
      : setInterval(() => this.#poll(task, PollReason.Interval), intervalMs);
    this.#entries.set(task, { reason: null, interval });
    this.#enqueue(task, PollReason.Start);
  }

  /** Poll a task in the next turn. Does nothing for a task that is not spawned, or was removed. */
  wake(task: Task): void {
    this.#enqueue(task, PollReason.Wake);
  }

  /** Remove a task; it is not polled again. */
  remove(task: Task): void {
    const entry = this.#entries.get(task);
    if (entry === undefined) return;
    if (entry.interval !== null) clearInterval(entry.interval);
    this.#entries.delete(task);
    if (this.#entries.size === 0) this.#cancelTurn();
  }

  /** Pass an error to `onError`. */
  report(error: unknown): void {
    this.#onError(error);
  }

  /** Remove all tasks and accept no more. The tasks themselves are not closed. Closing twice is harmless. */
  close(): void {
    this.#isClosed = true;
    for (const task of [...this.#entries.keys()]) this.remove(task);
  }

  /** As `close`. */
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

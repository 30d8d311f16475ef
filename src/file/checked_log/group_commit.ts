/**
 * Decides when a log is synced. One sync is in flight at a time; answers that begin to wait during it share
 * the next one. After a sync that failed there is never another.
 */

import type { Clock } from "../../base/clock.ts";

/**
 * When the log is synced. `always`: before every answer. `interval`: by a timer. `os`: only if something
 * waits for it, such as a snapshot or a clean close.
 */
export const SYNC_MODES = ["always", "interval", "os"] as const;
/** One of `SYNC_MODES`. */
export type SyncMode = typeof SYNC_MODES[number];

/** What is synced: one log, or several whose positions follow each other. */
export interface SyncedLog {
  /** End of what was appended. */
  readonly tail: number;
  /** End of what is durable. */
  readonly durable: number;
  /** Makes durable what is appended now. */
  sync(): Promise<void>;
}

export interface GroupCommitOptions {
  readonly mode: SyncMode;
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Called after a sync: the log is durable up to this offset. */
  readonly onDurable: (offset: number) => void;
  /** Called with what a sync threw. It may call `fail` with another reason. */
  readonly onFailure: (error: unknown) => void;
}

interface Waiter {
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #log: SyncedLog;
  readonly #options: GroupCommitOptions;
  readonly #stop = new AbortController();
  #waiters: Waiter[] = [];
  #isRunning = false;
  #run: Promise<void> = Promise.resolve();
  #hasTimer = false;
  #failure: unknown = null;
  #syncs = 0;

  constructor(log: SyncedLog, options: GroupCommitOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Syncs that were carried out. */
  get syncs(): number {
    return this.#syncs;
  }

  /** Called after an append: schedules a sync if the mode asks for one. */
  appended(): void {
    const { mode } = this.#options;
    if (mode === "always") this.start();
    else if (mode === "interval" && !this.#hasTimer) void this.#startLater();
  }

  /** Resolves when the log is durable up to `offset`, in every mode. */
  whenDurable(offset: number): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#log.durable >= offset) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ offset, resolve, reject });
      this.start();
    });
  }

  /** Resolves what waits and is durable: also called if it became so without a sync of this object. */
  resolveDurable(): void {
    const { durable } = this.#log;
    const done = this.#waiters.filter((waiter) => waiter.offset <= durable);
    this.#waiters = this.#waiters.filter((waiter) => waiter.offset > durable);
    for (const waiter of done) waiter.resolve();
  }

  /** Rejects all that waits, and all that will: nothing more becomes durable. The first reason stays. */
  fail(error: unknown): void {
    this.#failure ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#failure);
  }

  /** Stops the timer; resolves when no sync is in flight. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  async #startLater(): Promise<void> {
    this.#hasTimer = true;
    await this.#options.clock.sleep(this.#options.intervalMs, this.#stop.signal);
    this.#hasTimer = false;
    if (!this.#stop.signal.aborted && this.#log.durable < this.#log.tail) this.start();
  }

  /** Starts a sync, unless one is in flight: it looks again when it ends. */
  start(): void {
    if (this.#isRunning || this.#failure !== null) return;
    this.#isRunning = true;
    this.#run = this.#syncAll();
  }

  async #syncAll(): Promise<void> {
    const { mode, onDurable, onFailure } = this.#options;
    const log = this.#log;
    try {
      do {
        await log.sync();
        this.#syncs++;
        this.resolveDurable();
        onDurable(log.durable);
        if (this.#failure !== null) break;
      } while (this.#waiters.length > 0 || (mode === "always" && log.durable < log.tail));
    } catch (error) {
      onFailure(error);
      this.fail(error);
    } finally {
      this.#isRunning = false;
    }
  }
}

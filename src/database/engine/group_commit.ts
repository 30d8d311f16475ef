/**
 * Decides when the log is synced. One sync is in flight at a time; requests that arrive during it share
 * the next one. A failed sync is never tried again. The kernel may have dropped the pages that it could
 * not write, and a second call would report success.
 */

import type { Clock } from "../../base/clock.ts";
import type { Storage } from "../../file/mod.ts";
import type { LogFile } from "../files/log_file.ts";

/**
 * When the log is synced. `always`: before every answer. `interval`: by a timer. `os`: only around
 * snapshots and at a clean close.
 */
export const SYNC_MODES = ["always", "interval", "os"] as const;
/** One of `SYNC_MODES`. */
export type SyncMode = typeof SYNC_MODES[number];

export interface GroupCommitOptions {
  readonly mode: SyncMode;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly storage: Storage;
  /** Called after a sync: the log is durable up to this offset. */
  readonly onDurable: (offset: number) => void;
  readonly onFailure: (error: unknown) => void;
}

interface Waiter {
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #log: LogFile;
  readonly #options: GroupCommitOptions;
  readonly #stop = new AbortController();
  #waiters: Waiter[] = [];
  #isRunning = false;
  #run: Promise<void> = Promise.resolve();
  #hasTimer = false;
  #failure: unknown = null;
  #syncs = 0;

  constructor(log: LogFile, options: GroupCommitOptions) {
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
    if (mode === "always") this.#start();
    else if (mode === "interval" && !this.#hasTimer) void this.#startLater();
  }

  /** Resolves when the present content of the log is durable, in every mode. */
  sync(): Promise<void> {
    const offset = this.#log.tail;
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#log.durable >= offset) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ offset, resolve, reject });
      this.#start();
    });
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
    if (!this.#stop.signal.aborted && this.#log.durable < this.#log.tail) this.#start();
  }

  #start(): void {
    if (this.#isRunning || this.#failure !== null) return;
    this.#isRunning = true;
    this.#run = this.#syncAll();
  }

  async #syncAll(): Promise<void> {
    const { storage, mode, onDurable, onFailure } = this.#options;
    try {
      do {
        storage.reach("db.sync.log.before");
        const offset = await this.#log.sync();
        storage.reach("db.sync.log.after");
        this.#syncs++;
        const done = this.#waiters.filter((waiter) => waiter.offset <= offset);
        this.#waiters = this.#waiters.filter((waiter) => waiter.offset > offset);
        for (const waiter of done) waiter.resolve();
        onDurable(offset);
      } while (
        this.#waiters.length > 0 || (mode === "always" && this.#log.durable < this.#log.tail)
      );
      this.#isRunning = false;
    } catch (error) {
      this.#isRunning = false;
      this.#failure = error;
      for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
      onFailure(error);
    }
  }
}

/** The state of one run of the shell: the tables, the table in use, the counters, the settings. */

import { type Clock, systemClock } from "../base/clock.ts";
import { FailedError } from "../base/errors.ts";
import type { Storage } from "../file/mod.ts";
import { type Table, TableRoot } from "../tables/mod.ts";
import type { CounterReader } from "../counters/view/mod.ts";
import type { Counters, CounterWriter } from "./counters.ts";
import type { Mode } from "./render.ts";

/** Thrown when Ctrl-C interrupts a command. What the command has done so far stays done. */
export class InterruptedError extends FailedError {}

export interface SessionOptions {
  readonly storage: Storage;
  /** Directory of the tables. */
  readonly tables: string;
  readonly lockTimeoutMs: number;
  readonly counters: Counters;
  readonly mode: Mode;
  /** Called before each write to a table; `makes` tells whether it may make new keys. */
  prepareToWrite(options: { readonly makes: boolean }): void;
  readonly clock?: Clock;
}

export class Session implements AsyncDisposable {
  readonly root: TableRoot;
  mode: Mode;
  /** True if the time of each command is shown, also without a terminal. */
  timing = false;
  /** Set by the command that leaves the shell. */
  isLeaving = false;
  readonly clock: Clock;
  readonly #options: SessionOptions;
  #tableName = "";
  #writer: CounterWriter | null = null;
  #reader: CounterReader | null = null;
  #interruption = new AbortController();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.mode = options.mode;
    const clock = options.clock ?? systemClock;
    this.clock = clock;
    const { storage, tables, lockTimeoutMs } = options;
    this.root = new TableRoot(storage, tables, {
      lockTimeoutMs,
      clock: {
        nowMs: () => clock.nowMs(),
        wallMs: () => clock.wallMs(),
        // Ctrl-C can end a wait for a lock, because the call has not changed anything yet.
        sleep: async (delayMs) => {
          await clock.sleep(delayMs, this.#interruption.signal);
          this.throwIfInterrupted();
        },
      },
    });
  }

  get tableName(): string {
    return this.#tableName;
  }

  get table(): Table {
    return this.root.table(this.#tableName);
  }

  /** Changes the table in use, which need not exist. Throws `InvalidTableError`. */
  use(name: string): void {
    this.#tableName = this.root.table(name).name;
  }

  /** True if the directory of the tables exists. */
  get hasTables(): boolean {
    return this.#options.storage.statusOrNull(this.root.path) !== null;
  }

  prepareToWrite(options: { readonly makes: boolean }): void {
    this.#options.prepareToWrite(options);
  }

  /** Runs `work` with the writer of counters; after an error the next call opens it again. */
  async write<T>(work: (writer: CounterWriter) => Promise<T>): Promise<T> {
    this.#writer ??= await this.#options.counters.openWriter();
    try {
      return await work(this.#writer);
    } catch (error) {
      await this.#closeWriter();
      throw error;
    }
  }

  /** Runs `work` with the reader of counters, as `write` does with the writer. */
  async read<T>(work: (reader: CounterReader) => Promise<T>): Promise<T> {
    this.#reader ??= await this.#options.counters.openReader();
    try {
      return await work(this.#reader);
    } catch (error) {
      this.#closeReader();
      throw error;
    }
  }

  /** Forgets an earlier Ctrl-C; called before each command. */
  begin(): void {
    this.#interruption = new AbortController();
  }

  interrupt(): void {
    this.#interruption.abort();
  }

  /** Lets pressed keys be handled; long answers call this from time to time. */
  async yieldToEventLoop(): Promise<void> {
    await this.clock.sleep(0);
    this.throwIfInterrupted();
  }

  throwIfInterrupted(): void {
    if (this.#interruption.signal.aborted) throw new InterruptedError("Interrupted");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closeReader();
    await this.#closeWriter();
  }

  async #closeWriter(): Promise<void> {
    const writer = this.#writer;
    this.#writer = null;
    await writer?.[Symbol.asyncDispose]();
  }

  #closeReader(): void {
    this.#reader?.[Symbol.dispose]();
    this.#reader = null;
  }
}

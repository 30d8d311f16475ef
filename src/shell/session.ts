/** What one run of the shell has in hand: the tables, the table in use, the counters, the settings. */

import { type Clock, systemClock } from "../base/clock.ts";
import { FailedError } from "../base/errors.ts";
import type { Storage } from "../file/mod.ts";
import { type Table, TableRoot } from "../tables/mod.ts";
import type { CounterReader, Counters, CounterWriter } from "./counters.ts";
import type { Mode } from "./render.ts";

/** Somebody pressed Ctrl-C while a command ran. What the command had done until then is done. */
export class InterruptedError extends FailedError {
  override readonly name = "InterruptedError";
}

export interface SessionOptions {
  readonly storage: Storage;
  /** Directory of the tables. */
  readonly tables: string;
  readonly lockTimeoutMs: number;
  readonly counters: Counters;
  readonly mode: Mode;
  /** Makes the data directory where it is missing; called before the first write. */
  makeDataDirectory(): void;
  readonly clock?: Clock;
}

export class Session implements AsyncDisposable {
  readonly root: TableRoot;
  mode: Mode;
  /** Whether the time of each command is shown, also without a terminal. */
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
        // Waiting for a lock is where Ctrl-C can end a call that has not done anything.
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

  /** Throws `InvalidTableError`; the table need not be there. */
  use(name: string): void {
    this.#tableName = this.root.table(name).name;
  }

  /** True where the directory of the tables is there. */
  get hasTables(): boolean {
    return this.#options.storage.statusOrNull(this.root.path) !== null;
  }

  makeDataDirectory(): void {
    this.#options.makeDataDirectory();
  }

  /** Runs a piece of work with the writer of counters; after an error the next one opens it anew. */
  async write<T>(work: (writer: CounterWriter) => Promise<T>): Promise<T> {
    this.#writer ??= await this.#options.counters.openWriter();
    try {
      return await work(this.#writer);
    } catch (error) {
      await this.#closeWriter();
      throw error;
    }
  }

  /** As `write`, with the reader of counters. */
  async read<T>(work: (reader: CounterReader) => Promise<T>): Promise<T> {
    this.#reader ??= await this.#options.counters.openReader();
    try {
      return await work(this.#reader);
    } catch (error) {
      this.#closeReader();
      throw error;
    }
  }

  /** Before each command: an old Ctrl-C no longer counts. */
  begin(): void {
    this.#interruption = new AbortController();
  }

  interrupt(): void {
    this.#interruption.abort();
  }

  /** Lets a key that was pressed meanwhile come through. For long answers, every now and then. */
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

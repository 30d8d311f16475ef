/** The counters as the shell uses them, whether on a server or in the data directory. */

export interface CounterRow {
  readonly key: Uint8Array;
  readonly value: bigint;
}

/** Adds to counters. */
export interface CounterWriter extends AsyncDisposable {
  /** Adds to a counter; the increment is durable afterwards. Throws `UsageError` for an invalid name. */
  increment(keyspace: Uint8Array, key: Uint8Array, increment: bigint): Promise<void>;
}

/** Reads counters; each call sees every increment that was accepted before it. */
export interface CounterReader extends Disposable {
  /** Returns rows from `offset` on, possibly fewer than asked for; an unknown keyspace has the total 0. */
  page(
    keyspace: Uint8Array,
    range: { readonly offset: number; readonly length: number },
  ): Promise<{ readonly total: number; readonly rows: readonly CounterRow[] }>;
  /** Returns null if the counter does not exist. */
  key(
    keyspace: Uint8Array,
    key: Uint8Array,
  ): Promise<{ readonly rank: number; readonly value: bigint } | null>;
  /**
   * Returns some of the keyspaces behind a name, in byte order; an empty list at the end. `counters` is
   * null if the keyspace is damaged.
   */
  keyspaces(
    after: Uint8Array,
  ): Promise<readonly { readonly name: Uint8Array; readonly counters: number | null }[]>;
}

/** Opened at the first command that needs them, and again after an error. */
export interface Counters {
  openWriter(): Promise<CounterWriter>;
  openReader(): Promise<CounterReader>;
}

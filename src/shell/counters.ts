/** What the shell needs of counters; behind it stands a server or the data directory itself. */

export interface CounterRow {
  readonly key: Uint8Array;
  readonly value: bigint;
}

/** Adds to counters. */
export interface CounterWriter extends AsyncDisposable {
  /** When it returns, the increment is durable. Throws `UsageError` for a name that cannot be. */
  increment(keyspace: Uint8Array, key: Uint8Array, increment: bigint): Promise<void>;
}

/** Reads counters; each call sees every increment that was accepted before it. */
export interface CounterReader extends Disposable {
  /** Rows from `offset` on, some of them; an unknown keyspace has the total 0. */
  page(
    keyspace: Uint8Array,
    range: { readonly offset: number; readonly length: number },
  ): Promise<{ readonly total: number; readonly rows: readonly CounterRow[] }>;
  /** Null where there is no such counter. */
  key(
    keyspace: Uint8Array,
    key: Uint8Array,
  ): Promise<{ readonly rank: number; readonly value: bigint } | null>;
  /** Keyspaces after a name in byte order, some of them; none at the end. Null counters: damaged. */
  keyspaces(
    after: Uint8Array,
  ): Promise<readonly { readonly name: Uint8Array; readonly counters: number | null }[]>;
}

/** Opened at the first command that needs them, and again after an error. */
export interface Counters {
  openWriter(): Promise<CounterWriter>;
  openReader(): Promise<CounterReader>;
}

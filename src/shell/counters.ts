/** What the shell needs of counters; behind it stands a server or the data directory itself. */

export interface CounterRow {
  readonly key: Uint8Array;
  readonly value: bigint;
}

export interface KeyspaceRow {
  readonly name: Uint8Array;
  readonly counters: bigint;
}

/** Adds to counters. Throws as the write port's client and the commit logs do. */
export interface CounterWriter extends AsyncDisposable {
  /** When it returns, the increment survives a power cut. */
  increment(keyspace: Uint8Array, key: Uint8Array, increment: bigint): Promise<void>;
}

/** Reads counters; each call sees everything that was accepted before it. */
export interface CounterReader extends AsyncDisposable {
  /** Rows by rank from `offset` on, at most `length`, and how many there are; null for no keyspace. */
  page(
    keyspace: Uint8Array,
    range: { readonly offset: number; readonly length: number },
  ): Promise<{ readonly total: bigint; readonly rows: readonly CounterRow[] } | null>;
  /** Null for no counter. */
  find(
    keyspace: Uint8Array,
    key: Uint8Array,
  ): Promise<{ readonly rank: bigint; readonly value: bigint } | null>;
  /** All keyspaces in byte order. */
  keyspaces(): AsyncIterable<KeyspaceRow>;
}

/** Opened at the first command that needs them, and again after an error. */
export interface Counters {
  openWriter(): Promise<CounterWriter>;
  openReader(): Promise<CounterReader>;
}

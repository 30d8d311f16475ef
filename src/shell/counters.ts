/** The counters as the shell uses them, whether on a server or in the data directory. */

import type { CounterReader } from "../counters/view/mod.ts";

/** Adds to counters. */
export interface CounterWriter extends AsyncDisposable {
  /** Adds to a counter; the increment is durable afterwards. Throws `UsageError` for an invalid name. */
  increment(keyspace: Uint8Array, key: Uint8Array, increment: bigint): Promise<void>;
}

/** Opened at the first command that needs them, and again after an error. */
export interface Counters {
  openWriter(): Promise<CounterWriter>;
  openReader(): Promise<CounterReader>;
}

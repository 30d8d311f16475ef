/**
 * What the load of the kill cycles consists of: message `index` of a connection goes to counter
 * `index mod COUNTERS` with the increment of that counter, so that a number of messages alone says
 * what every counter must hold.
 */

import { type MessageSizes, writeMessageBytes } from "../../src/counters/wire/mod.ts";

/** Short names, so that the load is many messages and not many bytes. */
export const sizes: MessageSizes = { keyspaceSize: 8, keySize: 16 };

/** The last one is the connection's own. */
export const COUNTERS = 97;

export function counterOf(index: number, connection: number): { keyspace: string; key: string } {
  if (index === COUNTERS - 1) return { keyspace: "conns", key: `c${connection}` };
  return { keyspace: ["one", "two", "three"][index % 3] as string, key: `key-${index}` };
}

/** Odd and far apart: sums pass 2^53 soon and no double holds them, but int64 does. */
export function incrementOf(index: number): bigint {
  if (index === COUNTERS - 1) return 1n;
  return index % 5 === 0 ? 2n ** 38n + 2n * BigInt(index) + 1n : BigInt(index) + 1n;
}

/** How many of the first `messages` messages of a connection go to a counter. */
export function messagesOf(counter: number, messages: number): number {
  return messages <= counter ? 0 : Math.floor((messages - 1 - counter) / COUNTERS) + 1;
}
messagesOf.bytes = writeMessageBytes(sizes);

/** Number of the connection, messages acknowledged, messages that may have left, certain? */
export type Share = readonly [
  connection: number,
  acknowledged: number,
  attempted: number,
  exact: boolean,
];

export interface LoadReport {
  readonly connections: readonly Share[];
  readonly reads: number;
  readonly violations: readonly string[];
}

export interface LoadOrder {
  readonly writePort?: number;
  readonly readPort?: number;
  /** Ends every connection properly and reports. */
  readonly pause?: boolean;
  readonly resume?: boolean;
}

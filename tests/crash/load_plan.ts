/**
 * The load of the kill cycles: message `index` of a connection goes to counter `index mod COUNTERS` with
 * the increment of that counter. So the number of messages alone determines the value of every counter.
 */

import { type MessageSizes, writeMessageBytes } from "../../src/counters/wire/mod.ts";

/** Short names, so that the load is many messages and not many bytes. */
export const sizes: MessageSizes = { keyspaceSize: 8, keySize: 16 };

/** The last counter belongs to the connection alone. */
export const COUNTERS = 97;

export function counterOf(index: number, connection: number): { keyspace: string; key: string } {
  if (index === COUNTERS - 1) return { keyspace: "conns", key: `c${connection}` };
  return { keyspace: ["one", "two", "three"][index % 3] as string, key: `key-${index}` };
}

/** Odd and far apart: sums soon pass 2^53, so a double cannot hold them, but an int64 can. */
export function incrementOf(index: number): bigint {
  if (index === COUNTERS - 1) return 1n;
  return index % 5 === 0 ? 2n ** 38n + 2n * BigInt(index) + 1n : BigInt(index) + 1n;
}

/** How many of the first `messages` messages of a connection go to a counter. */
export function messagesOf(counter: number, messages: number): number {
  return messages <= counter ? 0 : Math.floor((messages - 1 - counter) / COUNTERS) + 1;
}
messagesOf.bytes = writeMessageBytes(sizes);

/** Number of the connection, messages acknowledged, messages that may have left, and if this is certain. */
export type ConnectionLoad = readonly [
  connection: number,
  acknowledged: number,
  attempted: number,
  exact: boolean,
];

export interface LoadReport {
  readonly connections: readonly ConnectionLoad[];
  readonly reads: number;
  readonly violations: readonly string[];
}

export interface LoadOrder {
  readonly writePort?: number;
  readonly readPort?: number;
  /** Ends every connection in order and reports. */
  readonly pause?: boolean;
  readonly resume?: boolean;
}

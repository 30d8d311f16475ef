/**
 * A process that stores headers of the first log as fast as it can: claimed, sealed, free, again and again.
 * The arguments are the data directory and the duration in milliseconds.
 */

import {
  DataDirectory,
  describeSelf,
  HEAD_PAGE_BYTES,
  HeldLog,
  type LogState,
} from "../../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";

const stateOrder: readonly LogState[] = ["active", "sealed", "free"];

/** The `durable` of the header for this generation and state, so that a mixed header is detected. */
export function durableOf(generation: bigint, state: LogState): number {
  return HEAD_PAGE_BYTES + Number(generation % 1000n) * 24 + stateOrder.indexOf(state) * 8;
}

function storeHeaders(data: string, durationMs: number): void {
  const storage = systemStorage();
  using directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
  const held = HeldLog.take(directory, 0)!;
  const endMs = performance.now() + durationMs;
  for (let generation = held.header()!.generation + 1n; performance.now() < endMs; generation++) {
    for (const state of stateOrder) {
      const durable = durableOf(generation, state);
      held.store({ state, generation, length: durable, durable });
    }
  }
  held.release("free");
}

if (import.meta.main) storeHeaders(Deno.args[0]!, Number(Deno.args[1]));

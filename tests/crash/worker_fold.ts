/** The worker's own fold, `countd worker --once`, for these tests. */

import { noEvents } from "../../src/base/events.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { checkCommitLogs, DataDirectory } from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { checkKeyspaces } from "../../src/counters/keyspace/mod.ts";
import { Worker } from "../../src/counters/worker/mod.ts";
import { assertEquals } from "@std/assert";
import type { DiskEvent } from "../support/simulated_disk.ts";
import { DATA, type Fold, someHolder, stillClock } from "./counter_subject.ts";
import { keyspaceTotals } from "./keyspace_fold.ts";

/** Opens the data directory as another process would, and folds until nothing is left. */
export async function foldOnce({ storage, paths }: DataDirectory): Promise<void> {
  using directory = DataDirectory.open(storage, paths.data, { self: someHolder });
  const worker = new Worker(directory, {
    clock: stillClock,
    events: noEvents,
    metrics: new Metrics(),
  });
  await worker.runOnce({ signal: new AbortController().signal, lockTimeoutMs: 0 });
}

/** Whether an operation is one of a fold, and not of the writer before it. */
export function isOfFold({ path, point }: DiskEvent): boolean {
  return path.includes("/keyspaces") || (point !== null && /^(fold|recycle)/.test(point));
}

export const workerFold: Fold = {
  fold: foldOnce,
  totals: keyspaceTotals,
  check(storage: Storage) {
    using directory = DataDirectory.open(storage, DATA, { self: someHolder });
    assertEquals(checkCommitLogs(directory), []);
    assertEquals(checkKeyspaces(storage, directory.paths.keyspaces), []);
  },
};

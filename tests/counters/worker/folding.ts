/** Logs that a test seals, and `worker --once` on them, step by step. */

import { systemClock } from "../../../src/base/clock.ts";
import type { Events } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { DataDirectory, describeSelf, HeldLog } from "../../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../../src/file/mod.ts";
import { keyspacePath, KeyspaceReader } from "../../../src/counters/keyspace/mod.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { checkData } from "../../support/check_data.ts";
import {
  batchOf,
  claim,
  poolOn,
  type TestDirectory,
  withDataDirectory,
} from "../../support/data_directory.ts";

export type Records = readonly (readonly [string, string, bigint])[];

/** One sealed log with these records, each batch in a frame of its own. Returns its slot. */
export async function sealLog(test: TestDirectory, ...batches: Records[]): Promise<number> {
  const pool = poolOn(test.directory);
  await pool.prepare();
  const active = await claim(pool);
  for (const records of batches) active.append(batchOf(records));
  await active.seal({ sync: true });
  return active.slot;
}

/** `worker --once` in this process, on an opening of its own. Returns the names of its events. */
export async function fold(
  test: TestDirectory,
  storage: Storage = test.storage,
  lockTimeoutMs = 0,
): Promise<string[]> {
  const events: string[] = [];
  const reporter: Events = { report: (_level, event) => events.push(event) };
  using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
  const worker = new Worker(directory, {
    clock: systemClock,
    events: reporter,
    metrics: new Metrics(),
  });
  await worker.runOnce({ signal: new AbortController().signal, lockTimeoutMs });
  return events;
}

/** Folds; then a log is sealed again, as after a power cut that lost its "free". */
export async function foldAndSealAgain(test: TestDirectory, slot: number): Promise<void> {
  const sealed = HeldLog.take(test.directory, slot)!;
  const { length, durable, records } = sealed.header()!;
  sealed.release("sealed");
  await fold(test);
  const free = HeldLog.take(test.directory, slot)!;
  free.store({ state: "sealed", length, durable, records });
  free.release("sealed");
}

/** Path of the file of a keyspace. */
export function pathOf({ directory }: TestDirectory, keyspace: string): string {
  return keyspacePath(directory.paths.keyspaces, new TextEncoder().encode(keyspace));
}

/** `key count` of a keyspace in rank order, from its file alone. */
export function counters(test: TestDirectory, keyspace: string): string[] {
  const { storage } = test;
  const path = pathOf(test, keyspace);
  if (storage.statusOrNull(path) === null) return [];
  using reader = KeyspaceReader.open(storage, path);
  const decoder = new TextDecoder();
  return Array.from({ length: reader.total }, (_, offset) => {
    const row = reader.at(offset);
    return row === null ? "" : `${decoder.decode(row.key)} ${row.count}`;
  });
}

/** Checks everything; each test of the worker ends with it. */
export async function withFolds(
  body: (test: TestDirectory) => Promise<void>,
  options: { readonly checks?: boolean } = {},
): Promise<void> {
  await withDataDirectory(async (test) => {
    await body(test);
    if (options.checks !== false) checkData(test.data);
  }, options);
}

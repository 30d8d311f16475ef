/** The steps of Fold over real keyspace files, without a worker around them. */

import { assertEquals } from "@std/assert";
import {
  type DataDirectory,
  directoryLocks,
  listSlots,
  SealedLog,
} from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import {
  Aggregator,
  KeyspaceReader,
  KeyspaceWriter,
  listKeyspaces,
  sweepKeyspaces,
} from "../../src/counters/keyspace/mod.ts";
import { decodeRows } from "../../src/counters/wire/mod.ts";
import type { Totals } from "./counter_oracle.ts";
import { DATA } from "./counter_subject.ts";

const PAGE_SIZE = 4096;
const decoder = new TextDecoder();

/** Folds every sealed log, and after recovery the logs of dead writers. */
export function keyspaceFold(directory: DataDirectory): void {
  const { storage, paths, control } = directory;
  if (!control.holds(directoryLocks.fold)) {
    if (!control.tryLock(directoryLocks.fold)) throw new Error("the lease is held");
    storage.reach("fold.1.before");
    using fileSystem = storage.openFileSystem(paths.keyspaces);
    fileSystem.sync();
    storage.reach("fold.1.after");
    sweepKeyspaces(storage, paths.keyspaces);
  }
  const logs: SealedLog[] = [];
  for (const slot of listSlots(storage, paths.logs).slots) {
    let taken = SealedLog.take(directory, slot);
    if (taken.kind === "recovered") taken = SealedLog.take(directory, slot);
    if (taken.kind === "sealed") logs.push(taken.log);
  }
  const writers = new Map<string, KeyspaceWriter>();
  try {
    foldLogs(directory, logs, writers);
  } finally {
    for (const writer of writers.values()) writer.close();
  }
  for (const log of logs) log.recycle();
}

function foldLogs(
  { storage, paths }: DataDirectory,
  logs: readonly SealedLog[],
  writers: Map<string, KeyspaceWriter>,
): void {
  const applied = new Map<string, Map<number, bigint>>();
  const aggregator = new Aggregator();
  for (const log of logs) {
    log.verify();
    const { slot, generation } = log.identity;
    log.forEachBatch((bytes, start, end) =>
      aggregator.add(bytes, start, end, (name) => {
        const text = decoder.decode(name);
        let writer = writers.get(text);
        if (!writer) {
          writer = KeyspaceWriter.open(storage, paths.keyspaces, name.slice(), {
            pageSize: PAGE_SIZE,
          });
          writers.set(text, writer);
          applied.set(text, new Map());
        }
        if (writer.applied(slot) >= generation) return false;
        applied.get(text)?.set(slot, generation);
        return true;
      })
    );
  }
  const changed: KeyspaceWriter[] = [];
  for (const { keyspace, batch } of aggregator.takeBatches()) {
    const text = decoder.decode(keyspace);
    const writer = writers.get(text) as KeyspaceWriter;
    writer.apply(batch, applied.get(text) ?? new Map());
    changed.push(writer);
  }
  for (const writer of changed) writer.syncPages();
  for (const writer of changed) writer.publish();
  for (const writer of changed) writer.syncMeta();
  storage.syncDirectory(paths.keyspaces);
}

/** Every counter of every keyspace, read by rank and once more by key. */
export function keyspaceTotals(storage: Storage, data = DATA): Totals {
  const totals = new Map<string, Map<string, bigint>>();
  for (const { name, path } of listKeyspaces(storage, `${data}/keyspaces`)) {
    using reader = KeyspaceReader.open(storage, path);
    reader.refresh();
    const counters = new Map<string, bigint>();
    const page = reader.page(0, reader.total);
    for (const { key, value } of decodeRows(page.bytes, page.rows)) {
      counters.set(decoder.decode(key), value);
      assertEquals(reader.get(key), value, "a counter by rank and by key");
    }
    assertEquals(counters.size, reader.total, "rows and total");
    totals.set(decoder.decode(name), counters);
  }
  return totals;
}

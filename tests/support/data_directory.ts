/**
 * A data directory for tests of logs and of the rooms above them: small logs, records through the writer's
 * own path, and `check` at the end.
 */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import {
  type ActiveLog,
  type BatchFiller,
  checkCommitLogs,
  DataDirectory,
  describeSelf,
  type DirectorySizes,
  LogPool,
  type PoolOptions,
  type Recovery,
  SealedLog,
} from "../../src/counters/commitlog/mod.ts";
import { type Storage, systemStorage } from "../../src/file/mod.ts";
import {
  encodeCounter,
  encodeDefinition,
  recordBytes,
  RecordCursor,
} from "../../src/counters/wire/mod.ts";
import { withTemporaryDirectory } from "./temporary.ts";

/** Logs small enough to fill and scan in no time. */
export const smallLogSize = 65_536;

export interface TestDirectory {
  readonly data: string;
  readonly storage: Storage;
  /** Opens the directory a second time, as another process would. */
  open(): DataDirectory;
  readonly directory: DataDirectory;
}

/** Runs `body` on a fresh data directory; ends with `check` on its logs, labels too. */
export async function withDataDirectory(
  body: (test: TestDirectory) => void | Promise<void>,
  options: { readonly wanted?: Partial<DirectorySizes>; readonly checks?: boolean } = {},
): Promise<void> {
  await withTemporaryDirectory(async (temporary) => {
    const storage = systemStorage();
    const data = `${temporary}/data`;
    const self = describeSelf(storage);
    const opened: DataDirectory[] = [];
    const open = () => {
      const directory = DataDirectory.openOrCreate(storage, data, {
        wanted: { logSize: smallLogSize, ...options.wanted },
        self,
      });
      opened.push(directory);
      return directory;
    };
    const directory = open();
    try {
      await body({ data, storage, open, directory });
    } finally {
      for (const other of opened) other.close();
    }
    if (options.checks === false) return;
    using last = DataDirectory.open(storage, data, { self });
    assertEquals(checkCommitLogs(last, { labels: true }), []);
  });
}

export function poolOn(
  directory: DataDirectory,
  options: Partial<PoolOptions> & { readonly recoveries?: Recovery[] } = {},
): LogPool {
  return new LogPool(directory, {
    logs: 4,
    backlogBytes: 64 * directory.sizes.logSize,
    clock: systemClock,
    onRecovery: (recovery) => options.recoveries?.push(recovery),
    ...options,
  });
}

/** Claims a log; a test that finds none has failed. */
export async function claim(pool: LogPool): Promise<ActiveLog> {
  const active = await pool.claim();
  if (typeof active === "string") throw new Error(`No log to claim: ${active}`);
  return active;
}

const encoder = new TextEncoder();

/** A batch of `[keyspace, key, increment]`, as a writer's filler hands it over: whole or not at all. */
export function batchOf(records: readonly (readonly [string, string, bigint])[]): BatchFiller {
  return {
    filledRecords: records.length,
    fill(log, start, end) {
      const names = [...records.map(([, key]) => key), ...new Set(records.map(([name]) => name))];
      const bytes = names.reduce((sum, name) => sum + recordBytes(encoder.encode(name).length), 0);
      if (start + bytes > end) return start;
      const numbers = new Map<string, number>();
      let next = start;
      for (const [keyspace, key, increment] of records) {
        let number = numbers.get(keyspace);
        if (number === undefined) {
          number = numbers.size;
          numbers.set(keyspace, number);
          next = encodeDefinition(log, next, { number, name: encoder.encode(keyspace) });
        }
        next = encodeCounter(log, next, { keyspace: number, key: encoder.encode(key), increment });
      }
      return next;
    },
    rollBack() {},
  };
}

/** Every record of a log, in order, as text. */
export function recordsOf(log: SealedLog): string[] {
  const found: string[] = [];
  const decoder = new TextDecoder();
  log.forEachBatch((bytes, start, end) => {
    const cursor = new RecordCursor(bytes, start, end);
    const keyspaces: string[] = [];
    while (cursor.next()) {
      const name = decoder.decode(cursor.name());
      if (cursor.keyspace === keyspaces.length) keyspaces.push(name);
      else found.push(`${keyspaces[cursor.keyspace]} ${name} ${cursor.increment()}`);
    }
  });
  return found;
}

/** Takes and verifies a sealed log; a test that finds none has failed. */
export function takeSealed(directory: DataDirectory, slot: number): SealedLog {
  const taken = SealedLog.take(directory, slot);
  if (taken.kind !== "sealed") throw new Error(`Slot ${slot} is not sealed: ${taken.kind}`);
  taken.log.verify();
  return taken.log;
}

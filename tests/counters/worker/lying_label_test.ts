/**
 * Logs with a wrong label, as a power cut may leave them: the content of a log is synced by its claim and its
 * seal, but its mode is not, so a sealed log may be labelled free.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { CorruptError } from "../../../src/base/errors.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  type BatchFiller,
  DataDirectory,
  describeSelf,
  FREE_MODE,
} from "../../../src/counters/commitlog/mod.ts";
import { OsError, type Storage } from "../../../src/file/mod.ts";
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
import { overridden } from "../../support/overridden.ts";

const one = batchOf([["ks", "k", 1n]]);

/** A sealed log for each batch, the last one labelled free. */
async function sealLogs(test: TestDirectory, batches: readonly BatchFiller[]): Promise<void> {
  const pool = poolOn(test.directory);
  await pool.prepare();
  let path = "";
  for (const batch of batches) {
    const log = await claim(pool);
    path = log.held.path;
    log.append(batch);
    await log.seal({ sync: true });
  }
  test.storage.chmod(path, FREE_MODE);
}

async function foldOnce(test: TestDirectory, storage: Storage): Promise<void> {
  using directory = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
  const environment = { clock: systemClock, events: noEvents, metrics: new Metrics() };
  const { signal } = new AbortController();
  await new Worker(directory, environment).runOnce({ signal, lockTimeoutMs: 0 });
}

function count({ storage, directory }: TestDirectory): bigint | null {
  const encoder = new TextEncoder();
  const path = keyspacePath(directory.paths.keyspaces, encoder.encode("ks"));
  using reader = KeyspaceReader.open(storage, path);
  return reader.get(encoder.encode("k"));
}

// Story: a new worker reads the header of every log, whatever its label says, but it did so in its first walk
// only. If that walk ended early, because no more logs could be opened, the later walks believed the labels.
// A sealed log behind the end was skipped, and `worker --once` said that all was folded.
Deno.test("A sealed log that is labelled free is folded, also if the first walk did not reach it", async () => {
  await withDataDirectory(async (test) => {
    await sealLogs(test, [one, one, one, one]);
    // No more than two logs open at once.
    let open = 0;
    let refused = 0;
    const storage = overridden(test.storage, {
      open(path, options) {
        const isLog = path.includes("/logs/lock-");
        if (isLog && open === 2) {
          refused++;
          throw new OsError("open", path, "EMFILE");
        }
        const file = test.storage.open(path, options);
        if (!isLog) return file;
        open++;
        return overridden(file, { close: () => (open--, file.close()) });
      },
    });
    await foldOnce(test, storage);
    assert(refused > 0, "the limit was met");
    assertEquals(count(test), 4n);
    checkData(test.data);
  });
});

Deno.test("A sealed log that is labelled free is folded, also if the first walk met broken records", async () => {
  await withDataDirectory(async (test) => {
    const bad: BatchFiller = {
      filledRecords: 1,
      fill: (frame, start) => (frame.fill(0xff, start, start + 16), start + 16),
      rollBack() {},
    };
    await sealLogs(test, [one, bad, one]);
    await assertRejects(() => foldOnce(test, test.storage), CorruptError, "1 logs");
    assertEquals(count(test), 2n);
  }, { checks: false });
});

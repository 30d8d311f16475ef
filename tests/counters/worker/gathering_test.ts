/** When a fold waits for more logs, and that nothing is lost while it does. */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import type { ActiveLog } from "../../../src/counters/commitlog/mod.ts";
import { keyspacePath, KeyspaceReader } from "../../../src/counters/keyspace/mod.ts";
import { Gathering } from "../../../src/counters/worker/gathering.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import {
  batchOf,
  claim,
  poolOn,
  smallLogSize,
  withDataDirectory,
} from "../../support/data_directory.ts";
import type { TestDirectory } from "../../support/data_directory.ts";
import { clockAt } from "../../support/fixed_clock.ts";
import { waitUntil } from "../../support/wait.ts";

/** Some 3 KiB of records. */
const someRecords = batchOf(
  Array.from({ length: 100 }, (_, index) => ["ks", `key-${index}`, 1n] as const),
);

/** Appends until the log is nearly full; returns how many batches it took. */
function fill(log: ActiveLog): number {
  let batches = 0;
  while (log.capacityBytes > 8192) {
    log.append(someRecords);
    batches++;
  }
  return batches;
}

function valueOf({ storage, directory }: TestDirectory, key: string): bigint | null {
  const path = keyspacePath(directory.paths.keyspaces, new TextEncoder().encode("ks"));
  if (storage.statusOrNull(path) === null) return null;
  using reader = KeyspaceReader.open(storage, path);
  return reader.get(new TextEncoder().encode(key));
}

Deno.test("A fold waits only while writers are fast, have free logs, and bring the same keys", async () => {
  await withDataDirectory(async (test) => {
    const clock = clockAt(0);
    const pool = poolOn(test.directory, { clock });
    await pool.prepare();
    const active = await claim(pool);
    const gathering = new Gathering(test.open(), clock);
    const gathered = { logs: 1, keys: 100, lastLength: smallLogSize };
    /** Whether waiting pays after ten milliseconds in which the writer appends, or does not. */
    const pays = (appends: boolean, but: Partial<typeof gathered> = {}) => {
      if (appends) active.append(someRecords);
      clock.advance(10);
      gathering.observeActive(active.slot);
      return gathering.paysToWait({ ...gathered, ...but }, 4);
    };
    assertEquals(pays(false), false, "no writer has appended yet");
    assertEquals(pays(true), true);
    assertEquals(pays(true, { logs: 4 }), false, "writers need their logs");
    assertEquals(pays(true, { keys: 150_000 }), false, "readers hold that many keys");
    assertEquals(pays(true, { lastLength: 10_000 }), false, "the last log was not full");
    assertEquals(pays(true, { logs: 0 }), false, "there is nothing to fold");
    assertEquals(pays(true), true);
    assertEquals([pays(false), pays(false), pays(false)], [true, true, true], "a breath");
    assertEquals(pays(false), false, "a pause");
    assertEquals(pays(true), true);
    clock.advance(500);
    assertEquals(pays(true), false, "it has waited long enough");
    gathering.close();
    await active.seal({ sync: false });
  });
});

Deno.test("Logs that were filled during a fold show a fast writer too", async () => {
  // Story: the active log is often just begun when a fold ends. By its bytes alone the writer seemed slow,
  // and the logs that it had filled during the fold were folded one by one.
  await withDataDirectory((test) => {
    const clock = clockAt(0);
    const gathering = new Gathering(test.open(), clock);
    const gathered = { logs: 1, keys: 100, lastLength: smallLogSize };
    clock.advance(400);
    assertEquals(gathering.paysToWait(gathered, 4), false, "nothing was written");
    clock.advance(400);
    gathering.observeSealed({ slot: 0, generation: 1n }, smallLogSize);
    assertEquals(gathering.paysToWait(gathered, 4), true);
    gathering.close();
  });
});

Deno.test("Logs that a fold gathers are in the counters when the writer pauses, each record once", async () => {
  await withDataDirectory(async (test) => {
    const pool = poolOn(test.open(), { logs: 16 });
    await pool.prepare();
    let batches = 0n;
    const seal = async () => {
      const log = await claim(pool);
      batches += BigInt(fill(log));
      await log.seal({ sync: true });
    };
    const active = await claim(pool);
    const folds: number[] = [];
    const worker = new Worker(test.open(), {
      clock: systemClock,
      events: {
        report: (_level, event, fields) =>
          event === "folded" && folds.push(Number(fields?.["logs"])),
      },
      metrics: new Metrics(),
    });
    const stop = new AbortController();
    const running = worker.run(stop.signal);
    // One writer never rests, and full logs of others come one by one.
    for (let round = 0; round < 16; round++) {
      active.append(someRecords);
      batches++;
      if (round === 4 || round === 7) await seal();
      await systemClock.sleep(5);
    }
    await waitUntil("the full logs are folded", () => folds.length > 0);
    await active.seal({ sync: true });
    await waitUntil("everything is folded", () => valueOf(test, "key-7") === batches);
    stop.abort();
    await running;
    // On a busy machine the writer may seem to pause, and then a fold does not wait.
    assertEquals(folds.reduce((sum, logs) => sum + logs, 0), 3, `${folds}`);
  });
});

Deno.test("A worker that is stopped while it gathers releases its logs", async () => {
  await withDataDirectory(async (test) => {
    const pool = poolOn(test.open(), { logs: 8 });
    await pool.prepare();
    const active = await claim(pool);
    const full = await claim(pool);
    let batches = BigInt(fill(full));
    await full.seal({ sync: true });
    const environment = { clock: systemClock, events: noEvents, metrics: new Metrics() };
    const stop = new AbortController();
    const running = new Worker(test.open(), environment).run(stop.signal);
    for (let round = 0; round < 8; round++) {
      active.append(someRecords);
      batches++;
      await systemClock.sleep(5);
    }
    stop.abort();
    await running;
    await active.seal({ sync: true });
    const after = new Worker(test.open(), environment);
    await after.runOnce({ signal: new AbortController().signal, lockTimeoutMs: 5000 });
    assertEquals(valueOf(test, "key-7"), batches);
  });
});

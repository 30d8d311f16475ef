/** Batches that define many keyspaces, and the limit of keyspaces. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { DataDirectory, describeSelf } from "../../../src/counters/commitlog/mod.ts";
import {
  batchBytesMax,
  batchStatuses,
  ReceiveBuffer,
  TAKES_BATCHES,
} from "../../../src/counters/wire/mod.ts";
import { BatchIntake } from "../../../src/counters/write/batch_intake.ts";
import { KeyspaceLimit } from "../../../src/counters/write/keyspace_limit.ts";
import { OsError } from "../../../src/file/mod.ts";
import { threadTimeMs } from "../../../ffi/mod.ts";
import { batchOf, type PlainIncrement } from "../../process/plain_batches.ts";
import { claim, poolOn, withDataDirectory } from "../../support/data_directory.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";

const environment = { clock: systemClock, events: noEvents, metrics: new Metrics() };

async function intakeOn(directory: DataDirectory, maxKeyspaces: number): Promise<BatchIntake> {
  const limit = new KeyspaceLimit(directory, maxKeyspaces, environment);
  await limit.prepare();
  const { sizes, control: { identity } } = directory;
  const batchBytes = batchBytesMax(16 * 1024 * 1024);
  return new BatchIntake({ sizes, batchBytes, takes: TAKES_BATCHES, identity }, limit);
}

function received(bytes: Uint8Array<ArrayBuffer>): ReceiveBuffer {
  const input = new ReceiveBuffer(new Uint8Array(Math.ceil(bytes.length / 8) * 8));
  input.unused().set(bytes);
  input.received(bytes.length);
  return input;
}

const statusesOf = (intake: BatchIntake): number[] => {
  const bytes = intake.encodeAnswers();
  const view = new DataView(bytes?.buffer ?? new ArrayBuffer(0));
  return Array.from({ length: view.byteLength / 24 }, (_, at) => view.getUint32(at * 24 + 8, true));
};

const KEYSPACES = 1024;
const ROUNDS = 8;
/** It takes about 0.5 ms. With a text made from spread bytes, four times for a name, it took 7. */
const REFUSAL_MS_MAX = 3;

// Story: a batch of new keyspaces near the limit admitted them one by one, took all back, and held the loop.
Deno.test("A batch that defines too many keyspaces is refused within the slice of a connection", async () => {
  await withDataDirectory(async ({ directory }) => {
    const intake = await intakeOn(directory, KEYSPACES - 1);
    const frame = new Uint8Array(512 * 1024);
    let leastMs = Infinity;
    for (let round = 0; round < ROUNDS; round++) {
      const increments = Array.from({ length: KEYSPACES }, (_, index): PlainIncrement => {
        return [`${round} ${index}`.padEnd(95, "n"), "", 1n];
      });
      const input = received(batchOf(1, increments));
      const startMs = threadTimeMs();
      intake.begin(input);
      assertEquals(intake.fill(frame, 0, frame.length), 0);
      leastMs = Math.min(leastMs, threadTimeMs() - startMs);
      assertEquals(statusesOf(intake), [batchStatuses.tooManyKeyspaces]);
    }
    assert(leastMs < REFUSAL_MS_MAX, `${leastMs} ms`);
  });
});

// Story: the keyspaces of a batch that was rolled back stayed known, and used up the limit.
Deno.test("Keyspaces of a batch that the disk does not take are not known by it", async () => {
  await withDataDirectory(async ({ directory, storage }) => {
    const faults = new Faults();
    const faulty = faultyStorage(storage, faults);
    using own = DataDirectory.open(faulty, directory.paths.data, { self: describeSelf(faulty) });
    const pool = poolOn(own);
    await pool.prepare();
    const log = await claim(pool);
    const limit = new KeyspaceLimit(own, 1, environment);
    await limit.prepare();
    const terms = {
      sizes: own.sizes,
      batchBytes: 4096,
      takes: TAKES_BATCHES,
      identity: own.control.identity,
    };
    const input = received(batchOf(1, [["a", "", 1n]]));
    const one = new BatchIntake(terms, limit);
    one.begin(input);
    faults.failAt("write", 1, "ENOSPC");
    assertThrows(() => log.append(one), OsError, "ENOSPC");
    assertEquals([one.counts.taken, statusesOf(one)], [0, []]);
    const other = new BatchIntake(terms, limit);
    other.begin(received(batchOf(1, [["b", "", 1n]])));
    log.append(other);
    assertEquals(statusesOf(other), [batchStatuses.taken]);
    one.begin(input);
    log.append(one);
    assertEquals(statusesOf(one), [batchStatuses.tooManyKeyspaces]);
    await log.seal({ sync: true });
  });
});

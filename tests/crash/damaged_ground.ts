/** A data directory on the simulated disk with data in every file, for tests that damage it. */

import { DataDirectory, HeldLog, listSlots } from "../../src/counters/commitlog/mod.ts";
import { batchSeed, writeBatchHead } from "../../src/counters/commitlog/frame.ts";
import { FRAME_HEAD_BYTES, FRAME_MAGIC } from "../../src/counters/commitlog/layout.ts";
import { LogBytes, sealFrame } from "../../src/file/checked_log/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { heldBytes } from "../support/held_bytes.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { CounterOracle, type SentBatch } from "./counter_oracle.ts";
import { DATA, OneBatch, openPool, someHolder } from "./counter_subject.ts";
import { keyspaceFold } from "./keyspace_fold.ts";

/** Writes batches into every free log, a frame each, and seals it; without a pause. */
export function fillFreeLogs(
  storage: Storage,
  oracle: CounterOracle,
  keyspaces: readonly string[],
  frames = 1,
): SentBatch[] {
  using directory = DataDirectory.open(storage, DATA, { self: someHolder });
  const written: SentBatch[] = [];
  for (const slot of listSlots(storage, directory.paths.logs).slots) {
    const held = HeldLog.take(directory, slot);
    const header = held?.header();
    if (!held || header?.state !== "free") {
      held?.release(header?.state === "sealed" ? "sealed" : null);
      continue;
    }
    const generation = header.generation + 1n;
    let tail = 4096;
    let records = 0;
    held.store({ state: "active", generation, length: tail, durable: tail, records });
    const common = { magic: FRAME_MAGIC, seed: batchSeed({ slot, generation }) };
    const log = new LogBytes(heldBytes(held));
    for (let frame = 0; frame < frames; frame++) {
      const batch = oracle.send(keyspaces);
      const filler = new OneBatch(batch);
      const end = filler.fill(log.bytes, tail + FRAME_HEAD_BYTES, log.size);
      writeBatchHead(log, tail, { records: filler.filledRecords, wallMs: 0 });
      sealFrame(log, tail, { ...common, offset: tail, end, durable: tail });
      held.file.write(log.bytes.subarray(tail, end), tail);
      tail = end;
      records += filler.filledRecords;
      batch.acknowledged = true;
      written.push(batch);
    }
    held.file.syncData();
    held.store({ state: "sealed", length: tail, durable: tail, records });
    held.release("sealed");
  }
  return written;
}

export function foldAll(storage: Storage): void {
  using directory = DataDirectory.open(storage, DATA, { self: someHolder });
  keyspaceFold(directory);
}

/**
 * Keyspaces "one" and "two" with counters; then logs that wait for a fold, with `frames` batches each.
 * Everything is durable.
 */
export async function damageGround(
  frames = 3,
): Promise<{ disk: SimulatedDisk; oracle: CounterOracle; waiting: readonly SentBatch[] }> {
  const disk = new SimulatedDisk();
  const oracle = new CounterOracle();
  const waiting = await fillDisk(disk, oracle, frames);
  disk.syncEverything();
  return { disk: disk.twin(), oracle, waiting };
}

/** Does the same on an existing disk; returns the batches that wait in logs. */
export async function fillDisk(
  disk: SimulatedDisk,
  oracle: CounterOracle,
  frames: number,
): Promise<readonly SentBatch[]> {
  const pool = await openPool(disk.process("prepare"));
  pool.directory.close();
  const storage = disk.process("writer");
  for (let round = 0; round < 4; round++) {
    fillFreeLogs(storage, oracle, ["one", "two"], 3);
    foldAll(storage);
  }
  return fillFreeLogs(storage, oracle, ["two", "one"], frames);
}

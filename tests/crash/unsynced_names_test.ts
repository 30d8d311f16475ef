/**
 * A process that makes a data directory is killed at any moment. The next process continues with what it
 * finds and has an append made durable; then the power fails. Names that the dead process gave and did not
 * sync must not take along the data that the living one was told is on disk.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type ActiveLog,
  DataDirectory,
  describeSelf,
  listSlots,
  recoverSlot,
} from "../../src/counters/commitlog/mod.ts";
import { batchOf, claim, poolOn, smallLogSize, takeSealed } from "../support/data_directory.ts";
import { cutKeepsNothing } from "../support/simulated_cut.ts";
import { SimulatedCrash, SimulatedDisk } from "../support/simulated_disk.ts";
import type { SimulatedStorage } from "../support/simulated_storage.ts";

const data = "/mnt/data";

function openOn(storage: SimulatedStorage): DataDirectory {
  return DataDirectory.openOrCreate(storage, data, {
    wanted: { logSize: smallLogSize },
    self: describeSelf(storage),
  });
}

async function makePool(storage: SimulatedStorage): Promise<void> {
  await poolOn(openOn(storage), { logs: 2 }).prepare();
}

function newDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const storage = disk.process("administrator");
  storage.makeDirectory("/mnt", 0o755);
  storage.syncDirectory("/");
  return disk;
}

/** The disk after the maker was killed before its operation `index`; null if it has fewer operations. */
async function killMaker(index: number): Promise<SimulatedDisk | null> {
  const disk = newDisk();
  const first = disk.operations;
  disk.observer = (event) => {
    if (event.when === "before" && event.index === first + index) throw disk.crash(null);
  };
  try {
    await makePool(disk.process("maker"));
    return null;
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
    return error.disk;
  }
}

/** The disk after a writer made a record durable in every log of the pool, and the power failed. */
async function appendAndCut(disk: SimulatedDisk): Promise<SimulatedDisk> {
  const directory = openOn(disk.process("writer"));
  const pool = poolOn(directory, { logs: 2 });
  await pool.prepare();
  pool.recoverAll();
  for (let count = 0; count < 2; count++) await appendDurably(await claim(pool));
  return disk.powerCut(cutKeepsNothing);
}

async function appendDurably(active: ActiveLog): Promise<void> {
  active.append(batchOf([["keyspace", "key", 1n]]));
  await active.sync();
}

/** What a start after the power cut finds. */
function findRecords(disk: SimulatedDisk): number {
  const storage = disk.process("after the cut");
  const directory = DataDirectory.openOrNull(storage, data, { self: describeSelf(storage) });
  if (directory === null || storage.statusOrNull(directory.paths.logs) === null) return 0;
  let records = 0;
  for (const slot of listSlots(storage, directory.paths.logs).slots) {
    if (recoverSlot(directory, slot)?.state !== "sealed") continue;
    records += takeSealed(directory, slot).verify().records;
  }
  return records;
}

Deno.test("Durable data stays although a killed process gave the names", async () => {
  const lost: number[] = [];
  let index = 0;
  for (;; index++) {
    const killed = await killMaker(index);
    if (killed === null) break;
    if (findRecords(await appendAndCut(killed)) !== 2) lost.push(index);
  }
  assertEquals(lost, []);
  assert(index > 20, "making the directory touches the disk");
});

Deno.test("Durable data stays although the maker of a log was killed beside its writer", async () => {
  const lost: string[] = [];
  for (const step of ["1", "2", "3", "4"]) {
    for (const point of [`create.${step}.before`, `create.${step}.after`]) {
      const disk = newDisk();
      const pool = poolOn(openOn(disk.process("writer")), { logs: 2 });
      await pool.prepare();
      for (let count = 0; count < 2; count++) await appendDurably(await claim(pool));
      const storage = disk.process("maker");
      const maker = poolOn(openOn(storage), { logs: 2 });
      disk.observer = (event) => {
        if (event.point === point && event.when === "after") storage.kill();
      };
      await assertRejects(() => maker.claim(), Error, "was killed");
      disk.observer = null;
      await appendDurably(await claim(pool));
      if (findRecords(disk.powerCut(cutKeepsNothing)) !== 3) lost.push(point);
    }
  }
  assertEquals(lost, []);
});

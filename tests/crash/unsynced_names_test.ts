/**
 * A process that makes a data directory is killed at any moment; the next one goes on with what it finds,
 * has an append made durable, and then the power fails. Names that the dead one gave and did not sync
 * must not take with them what the living one was told is on disk.
 */

import { assertEquals } from "@std/assert";
import { DataDirectory, describeSelf, recoverSlot } from "../../src/commitlog/mod.ts";
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

/** The disk after the maker was killed before its operation `index`; null where it has no such one. */
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

/** Appends a record, has it synced, and cuts the power. */
async function appendAndCut(disk: SimulatedDisk): Promise<{ slot: number; disk: SimulatedDisk }> {
  const directory = openOn(disk.process("writer"));
  const pool = poolOn(directory, { logs: 2 });
  await pool.prepare();
  pool.recoverAll();
  const active = await claim(pool);
  active.append(batchOf([["keyspace", "key", 1n]]));
  await active.sync();
  return { slot: active.slot, disk: disk.powerCut(cutKeepsNothing) };
}

Deno.test("What is durable stays although its names were given by one that was killed", async () => {
  const lost: string[] = [];
  let index = 0;
  for (;; index++) {
    const killed = await killMaker(index);
    if (killed === null) break;
    const { slot, disk } = await appendAndCut(killed);
    const storage = disk.process("reader");
    if (storage.statusOrNull(`${data}/control`) === null) lost.push(`${index}: control`);
    else if (storage.statusOrNull(`${data}/logs`) === null) lost.push(`${index}: logs`);
    else {
      const directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
      const names = storage.readDirectory(`${data}/logs`);
      if (!names.some((name) => name.endsWith(`${slot}`))) lost.push(`${index}: log`);
      else {
        recoverSlot(directory, slot);
        assertEquals(takeSealed(directory, slot).verify().records, 1);
      }
    }
  }
  assertEquals(lost, []);
  assertEquals(index > 20, true);
});

/** A database on the simulated disk, and the states that it may have after a crash. */

import { assert, assertEquals } from "@std/assert";
import { check, type DB, init, type SyncMode } from "../../src/database/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import type { Subject } from "../crash/explore.ts";
import { databaseText, Model, perform, type Step } from "./model.ts";

const paths = { map: "/db/map", log: "/db/log" };

export type Act = Step | { readonly call: "snapshot" } | { readonly call: "reopen" };

/** The state after each step that was begun. States before `acknowledged` must not come back. */
export interface DatabaseOracle {
  states: Model[];
  acknowledged: number;
}

export interface DatabasePlan {
  readonly name: string;
  readonly sync?: SyncMode;
  /** Files that exist before the first open. */
  readonly files?: { readonly map?: string; readonly log?: string };
  /** The state that those files hold. */
  readonly base?: Model;
  readonly prepared?: readonly Act[];
  readonly acts: readonly Act[];
  /** A bug between the database and the disk. */
  readonly plant?: (storage: Storage) => Storage;
}

function open(storage: Storage, sync: SyncMode): DB {
  // No timer ever fires: the plan alone decides what is synced.
  return init(paths.map, paths.log, { storage, sync, syncIntervalMs: 1e9 });
}

export function databaseSubject(plan: DatabasePlan): Subject<DatabaseOracle> {
  const sync = plan.sync ?? "always";

  async function run(disk: SimulatedDisk, oracle: DatabaseOracle, acts: readonly Act[]) {
    const plain = disk.process("owner");
    const storage = plan.plant?.(plain) ?? plain;
    let db = open(storage, sync);
    try {
      for (const act of acts) {
        if (act.call === "snapshot") await db.snapshot();
        else if (act.call === "reopen") {
          await db.close();
          db = open(storage, sync);
        } else {
          const next = (oracle.states.at(-1) as Model).copy();
          next.take(act);
          oracle.states.push(next);
          await perform(db, act);
        }
        // Without `always` only a flush promises that an answer is durable.
        if (sync !== "always") await db.flush();
        oracle.acknowledged = oracle.states.length - 1;
      }
      await db.close();
    } catch (error) {
      // The process is dead: its descriptors are closed, and nothing more is synced.
      await db.close().catch(() => {});
      throw error;
    }
  }

  return {
    name: plan.name,
    disk: { sizeBytes: 8 * 2 ** 20, mappingReserveBytes: 2 * 2 ** 20 },
    newOracle: () => ({ states: [plan.base?.copy() ?? new Model()], acknowledged: 0 }),
    copyOracle: (oracle) => ({ states: [...oracle.states], acknowledged: oracle.acknowledged }),
    signature: (oracle) => `${oracle.acknowledged} ${oracle.states.at(-1)?.toText()}`,
    async prepare(disk, oracle) {
      const storage = disk.process("maker");
      storage.makeDirectory("/db", 0o700);
      for (const which of ["map", "log"] as const) {
        const text = plan.files?.[which];
        if (text === undefined) continue;
        using file = storage.open(paths[which], { access: "write", create: "exclusive" });
        file.write(new TextEncoder().encode(text), 0);
      }
      if (plan.prepared !== undefined) await run(disk, oracle, plan.prepared);
    },
    work: (disk, oracle) => run(disk, oracle, plan.acts),
    async recover(disk, oracle) {
      const plain = disk.process("next");
      const db = open(plan.plant?.(plain) ?? plain, sync);
      try {
        // The state that was found counts from now on, also for a second crash.
        const found = databaseText(db);
        const states = oracle.states.map((state) => state.toText());
        const index = states.lastIndexOf(found);
        assert(
          index >= oracle.acknowledged,
          `found state ${index}, but ${oracle.acknowledged} was acknowledged:\n${found}`,
        );
        oracle.states = oracle.states.slice(0, index + 1);
        if (sync === "always") oracle.acknowledged = index;
      } finally {
        await db.close();
      }
      // With `os`, what a kill left in the page cache is durable only after the close.
      oracle.acknowledged = oracle.states.length - 1;
    },
    async verify(disk, oracle) {
      const storage = disk.process("reader");
      assertEquals(check(storage, paths), []);
      const db = open(storage, sync);
      assertEquals(databaseText(db), oracle.states[oracle.acknowledged]?.toText());
      await db.close();
      assertEquals(disk.space.storesIntoHoles, 0);
      for (const path of disk.files().keys()) assert(!path.endsWith(".new"), `${path} was left`);
    },
  };
}

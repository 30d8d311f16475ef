/** Repair, clearing a failed mark, backup and restore: crashed at every point, and started again. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FailedError } from "../../src/base/errors.ts";
import { backup, checkDirectory, clearFailed, repair, restore } from "../../src/admin/mod.ts";
import { DataDirectory, nameOfSlot } from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { FullCount } from "../support/full_count.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import { CounterOracle } from "./counter_oracle.ts";
import { DATA, someHolder, stillClock } from "./counter_subject.ts";
import { fillDisk } from "./damaged_ground.ts";
import { explore, exploreCounted, type Subject } from "./explore.ts";
import { keyspaceTotals } from "./keyspace_fold.ts";
import { foldOnce } from "./worker_fold.ts";

const options = { self: someHolder };

function overwrite(storage: Storage, path: string, offset: number): void {
  const { mode } = storage.status(path);
  storage.chmod(path, 0o600);
  {
    using file = storage.open(path, { access: "write" });
    file.write(new Uint8Array(64).fill(0x5a), offset);
  }
  storage.chmod(path, mode);
}

function exists(storage: Storage, path: string): boolean {
  return storage.statusOrNull(path) !== null;
}

async function foldAndJudge(disk: SimulatedDisk, data: string, oracle: CounterOracle) {
  const storage = disk.process("judge");
  using directory = DataDirectory.open(storage, data, options);
  await foldOnce(directory);
  oracle.judge(keyspaceTotals(storage, data));
  assertEquals(checkDirectory(storage, data, options).violations, []);
}

function subject(
  name: string,
  parts: Pick<Subject<CounterOracle>, "work"> & {
    readonly damage?: (storage: Storage) => void;
    readonly data?: string;
    readonly look?: (storage: Storage) => Promise<void>;
  },
): Subject<CounterOracle> {
  return {
    name,
    newOracle: () => new CounterOracle(),
    copyOracle: (oracle) => oracle.copy(),
    signature: () => "",
    async prepare(disk, oracle) {
      const waiting = await fillDisk(disk, oracle, 2);
      // The damage below hits the first batch of the first log.
      if (parts.damage && waiting[0]) waiting[0].acknowledged = false;
      parts.damage?.(disk.process("damage"));
    },
    work: parts.work,
    recover: parts.work,
    async verify(disk, oracle) {
      await parts.look?.(disk.process("look"));
      await foldAndJudge(disk, parts.data ?? DATA, oracle);
    },
  };
}

Deno.test("Repair in place survives a crash at every point and a second try", async () => {
  const explored = await explore(
    subject("repair", {
      damage(storage) {
        overwrite(storage, `${DATA}/logs/${nameOfSlot(0)}`, 4200);
        overwrite(storage, `${DATA}/keyspaces/one`, 24 * 1024 + 100);
        overwrite(storage, `${DATA}/control`, 20);
      },
      work(disk) {
        const report = repair(disk.process("repair"), DATA, { ...options, out: null });
        assertEquals(report.remaining, []);
      },
    }),
    { doubleEvery: 97 },
  );
  assert(explored.points > 40, `${explored.points} points`);
});

Deno.test("Clearing the failed mark survives a crash at every point", async () => {
  await explore(
    subject("clear", {
      work(disk) {
        const storage = disk.process("clear");
        {
          using directory = DataDirectory.open(storage, DATA, options);
          directory.markFailed("a test", 0);
        }
        clearFailed(storage, DATA, options);
      },
    }),
    { doubleEvery: 97 },
  );
});

const copies = new FullCount("backup and restore");

Deno.test("Backup and restore survive a crash at every point: a copy is complete or absent", async () => {
  await exploreCounted(
    subject("backup and restore", {
      data: "/second",
      async work(disk) {
        const storage = disk.process("care");
        if (!exists(storage, "/copy")) {
          await backup(storage, DATA, "/copy", { ...options, clock: stillClock });
        }
        if (!exists(storage, "/second")) restore(storage, "/copy", "/second", options);
      },
      // The next attempt starts with whatever the last one left under the name.
      async look(storage) {
        const again = () => backup(storage, DATA, "/copy", { ...options, clock: stillClock });
        await assertRejects(again, FailedError, "not empty");
        assertThrows(() => restore(storage, "/copy", "/second", options), FailedError, "not empty");
        assertEquals(storage.readDirectory("/").sort(), ["copy", "data", "second"]);
      },
    }),
    copies,
    { normal: { every: 3, doubleEvery: 197 }, full: { doubleEvery: 197 } },
  );
});

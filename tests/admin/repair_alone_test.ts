/** A repair keeps daemons out of a data directory whose control file is damaged or missing. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BusyError, CorruptError } from "../../src/base/errors.ts";
import { checkDirectory, clearFailed, repair } from "../../src/admin/mod.ts";
import {
  ActiveLog,
  DataDirectory,
  DirectoryFailedError,
} from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { CounterOracle } from "../crash/counter_oracle.ts";
import { DATA, OneBatch, openPool, someHolder } from "../crash/counter_subject.ts";
import { damageGround, foldAll } from "../crash/damaged_ground.ts";
import { keyspaceTotals } from "../crash/keyspace_fold.ts";
import { foldOnce } from "../crash/worker_fold.ts";
import { overridden } from "../support/overridden.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";

const options = { self: someHolder };
const inPlace = { ...options, out: null };
const CONTROL = `${DATA}/control`;
/** A byte that the checksum covers and that has no meaning. */
const RESERVED_BYTE = 20;

function flip(storage: Storage, path: string, offset: number): void {
  using file = storage.open(path, { access: "write" });
  const byte = new Uint8Array(1);
  file.read(byte, offset);
  file.write(new Uint8Array([byte[0]! ^ 0xff]), offset);
}

async function foldAndJudge(storage: Storage, oracle: CounterOracle): Promise<void> {
  using directory = DataDirectory.open(storage, DATA, options);
  await foldOnce(directory);
  oracle.judge(keyspaceTotals(storage));
  assertEquals(checkDirectory(storage, DATA, options).violations, []);
}

/** Runs `act` once, when `repair` reaches the point or the kind of operation. */
function during(disk: SimulatedDisk, point: string, act: () => void): void {
  disk.observer = (event) => {
    if (event.when !== "before" || event.point !== point && event.kind !== point) return;
    disk.observer = null;
    act();
  };
}

// Story: one byte of the control file was damaged while a writer ran. Repair could not open the file, so it
// locked nothing, and made a new one. Locks are on files: a worker with the new one took the writer's log for
// that of a dead writer, folded and freed it, and what the writer answered afterwards was lost.
Deno.test("Repair is refused while a daemon runs, also if the control file is damaged", async () => {
  const disk = new SimulatedDisk();
  const pool = await openPool(disk.process("writer"));
  pool.directory.joinDaemons();
  const oracle = new CounterOracle();
  const active = await pool.claim();
  assert(active instanceof ActiveLog);
  const write = async () => {
    const batch = oracle.send(["one"]);
    active.append(new OneBatch(batch));
    await active.sync();
    batch.acknowledged = true;
  };
  await write();
  const storage = disk.process("repair");
  flip(storage, CONTROL, RESERVED_BYTE);
  for (const out of [null, "/repaired"]) {
    assertThrows(() => repair(storage, DATA, { ...options, out }), BusyError, "end all daemons");
  }
  assertThrows(() => DataDirectory.open(disk.process("worker"), DATA, options), CorruptError);
  await write();
  await active.seal({ sync: true });
  pool.directory.close();
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  await foldAndJudge(storage, oracle);
});

// Story: the control file was made again and not locked. A daemon that was started in the middle of the repair
// could join, and folded into a keyspace that repair had already read: those increments were lost.
Deno.test("No daemon joins while a repair runs that makes the control file again", async () => {
  for (const damage of ["damaged", "missing"]) {
    const { disk, oracle } = await damageGround(3);
    const storage = disk.process("repair");
    const file = `${DATA}/keyspaces/one`;
    const { size } = storage.status(file);
    // The last page in use that check misses.
    let offset = size - 412;
    for (;; offset -= 512) {
      flip(storage, file, offset);
      if (checkDirectory(storage, DATA, options).violations.length > 0) break;
      flip(storage, file, offset);
    }
    if (damage === "damaged") flip(storage, CONTROL, RESERVED_BYTE);
    else storage.unlink(CONTROL);
    const worker = disk.process("worker");
    let refusal: unknown = null;
    during(disk, "repair.publish.before", () => {
      using directory = DataDirectory.open(worker, DATA, options);
      try {
        directory.joinDaemons();
      } catch (error) {
        refusal = error;
        return;
      }
      foldAll(worker);
    });
    assertEquals(repair(storage, DATA, inPlace).remaining, []);
    assertEquals(disk.observer, null, "the moment came");
    assert(refusal instanceof BusyError, String(refusal));
    await foldAndJudge(storage, oracle);
    using directory = DataDirectory.open(worker, DATA, options);
    directory.joinDaemons();
  }
});

Deno.test("Repair is refused if a daemon makes the missing control file in between", async () => {
  const { disk, oracle } = await damageGround(1);
  const storage = disk.process("repair");
  storage.rename(CONTROL, "/control");
  const other = disk.process("daemon");
  during(disk, "link", () => other.rename("/control", CONTROL));
  assertThrows(() => repair(storage, DATA, inPlace), BusyError, "end all daemons");
  assertEquals(disk.observer, null, "the moment came");
  assertEquals(storage.readDirectory(DATA).filter((name) => name.startsWith("control.")), []);
  await foldAndJudge(storage, oracle);
});

Deno.test("No daemon joins by a control file that was replaced since it was opened", async () => {
  const { disk } = await damageGround(1);
  using late = DataDirectory.open(disk.process("daemon"), DATA, options);
  const storage = disk.process("repair");
  flip(storage, CONTROL, RESERVED_BYTE);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  assertThrows(() => late.joinDaemons(), BusyError, "has just been replaced");
  using next = DataDirectory.open(disk.process("daemon"), DATA, options);
  next.joinDaemons();
});

// Story: the failed mark was lost with the damaged file, and daemons trusted the page cache again.
Deno.test("Repair of a damaged control file keeps the failed mark", async () => {
  const { disk, oracle } = await damageGround(1);
  const storage = disk.process("repair");
  {
    using directory = DataDirectory.open(storage, DATA, options);
    directory.markFailed("EIO of a test", 0);
  }
  flip(storage, CONTROL, RESERVED_BYTE);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  {
    using directory = DataDirectory.open(storage, DATA, options);
    assertThrows(() => directory.refuseFailed(), DirectoryFailedError, "EIO of a test");
  }
  assertEquals(clearFailed(storage, DATA, options).wasMarked, true);
  await foldAndJudge(storage, oracle);
});

// Story: the control file was removed while daemons ran, and a new writer made a new one. Its locks did not
// protect the logs that the others wrote, and these were taken for logs of dead writers.
Deno.test("A missing control file beside logs or keyspaces is not made by a daemon, only by repair", async () => {
  const { disk, oracle } = await damageGround(1);
  const storage = disk.process("writer");
  storage.unlink(CONTROL);
  const logs = `${DATA}/logs`;
  await assertRejects(() => openPool(storage), CorruptError, "end all daemons");
  storage.rename(logs, "/logs");
  await assertRejects(() => openPool(storage), CorruptError, "end all daemons");
  storage.rename("/logs", logs);
  assertEquals(storage.statusOrNull(CONTROL), null);
  assertEquals(repair(storage, DATA, inPlace).remaining, []);
  (await openPool(storage)).directory.close();
  await foldAndJudge(storage, oracle);
});

Deno.test("A first start with a foreign name among the keyspaces makes the control file", () => {
  // A file system that is mounted there has `lost+found`, an image has `.gitkeep`.
  const disk = new SimulatedDisk();
  const storage = disk.process("writer");
  for (const path of [DATA, `${DATA}/keyspaces`, `${DATA}/keyspaces/lost+found`]) {
    storage.makeDirectory(path, 0o700);
  }
  const hidden = { access: "write", create: "exclusive" } as const;
  storage.open(`${DATA}/keyspaces/.gitkeep`, hidden).close();
  DataDirectory.openOrCreate(storage, DATA, options).close();
  assert(storage.statusOrNull(CONTROL) !== null);
});

Deno.test("A data directory that another process is making is not taken for a damaged one", async () => {
  const disk = new SimulatedDisk();
  (await openPool(disk.process("first"))).directory.close();
  const second = disk.process("second");
  let looks = 0;
  const late = overridden(second, {
    statusOrNull(path: string) {
      // The first check was before the other process had made anything.
      if (path === CONTROL && looks++ === 0) return null;
      return second.statusOrNull(path);
    },
  });
  (await openPool(late)).directory.close();
  assert(looks > 1);
});

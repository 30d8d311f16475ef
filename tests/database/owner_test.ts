import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Clock } from "../../src/base/clock.ts";
import { CorruptError } from "../../src/base/errors.ts";
import {
  DatabaseBusyError,
  DatabaseFailedError,
  init,
  isMarkedFailed,
  repairDatabase,
  StorageFullError,
} from "../../src/database/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { waitUntil } from "../support/wait.ts";
import { databaseText, Model } from "./model.ts";
import { using, withDatabase } from "./support.ts";

/** A disk whose syncs on other threads wait until the gate is opened. */
function gatedDisk() {
  const disk = new SimulatedDisk({ mappingReserveBytes: 16 * 2 ** 20 });
  const storage = disk.process("owner");
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  let syncs = 0;
  const gated = new Proxy(storage, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (name !== "open") return typeof value === "function" ? value.bind(target) : value;
      return (...args: Parameters<typeof storage.open>) =>
        new Proxy(storage.open(...args), {
          get(file, member) {
            const inner = Reflect.get(file, member, file);
            if (member !== "syncDataAsync") {
              return typeof inner === "function" ? inner.bind(file) : inner;
            }
            return async () => {
              syncs++;
              await gate.promise;
              await file.syncDataAsync();
            };
          },
        });
    },
  });
  return {
    disk,
    storage: gated,
    close: () => gate = Promise.withResolvers<void>(),
    open: () => gate.resolve(),
    syncs: () => syncs,
  };
}

const paths = ["/map", "/log"] as const;

Deno.test("With always, neither an answer nor the map shows a set before it is durable", async () => {
  const gated = gatedDisk();
  const db = init(...paths, { storage: gated.storage, sync: "always" });
  await db.write("x", "old");
  gated.close();
  let isAnswered = false;
  const written = db.write("x", "new").then(() => isAnswered = true);
  await waitUntil("the sync", () => gated.syncs() === 2);
  assertEquals(await db.read("x"), "old");
  assertEquals(isAnswered, false);
  gated.open();
  await written;
  assertEquals(await db.read("x"), "new");
  await db.close();
});

Deno.test("Sets that come during a sync share the next one", async () => {
  const gated = gatedDisk();
  const db = init(...paths, { storage: gated.storage, sync: "always" });
  gated.close();
  const written = [db.write("0", "0")];
  await waitUntil("the sync", () => gated.syncs() === 1);
  for (let index = 1; index <= 500; index++) written.push(db.write(`${index}`, `${index}`));
  gated.open();
  await Promise.all(written);
  assertEquals(gated.syncs(), 2);
  assertEquals(db.size, 501);
  await db.close();
});

Deno.test("With interval, the timer syncs what is not durable yet, and is off while all is", async () => {
  const gated = gatedDisk();
  const sleeps: { ms: number; wake: () => void }[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        sleeps.push({ ms, wake: resolve });
        signal?.addEventListener("abort", () => resolve());
      }),
  };
  const db = init(...paths, { storage: gated.storage, clock, syncIntervalMs: 250 });
  for (let index = 0; index < 10; index++) await db.write("x", `${index}`);
  assertEquals(sleeps.map(({ ms }) => ms), [250]);
  assertEquals(gated.syncs(), 0);
  sleeps[0]?.wake();
  await waitUntil("the sync", () => db.status().logBytesDurable === db.status().logBytes);
  assertEquals(gated.syncs(), 1);
  assertEquals(sleeps.length, 1);
  await db.write("x", "last");
  assertEquals(sleeps.length, 2);
  await db.close();
});

Deno.test("Too many waiting requests are refused, and the others are answered", async () => {
  const gated = gatedDisk();
  const db = init(...paths, { storage: gated.storage, sync: "always" });
  gated.close();
  const first = db.write("first", "1");
  await waitUntil("the sync", () => gated.syncs() === 1);
  let refused = 0;
  let answered = 0;
  const all = Array.from(
    { length: 70_000 },
    (_, index) =>
      db.write("x", `${index}`).then(() => answered++, (error) => {
        assert(error instanceof DatabaseBusyError, String(error));
        refused++;
      }),
  );
  await waitUntil("a refusal", () => refused > 0);
  gated.open();
  await Promise.all([first, ...all]);
  assertEquals(answered, 65_535);
  assertEquals(refused, 70_000 - 65_535);
  await db.close();
});

Deno.test("A request that is aborted before its turn is skipped, and the others are answered", async () => {
  await withDatabase(async ({ open }) => {
    await using(open(), async (db) => {
      const gone = new AbortController();
      const first = db.write("x", "1");
      const left = db.write("x", "never", { signal: gone.signal });
      const last = db.write("y", "2");
      gone.abort(new Error("gone"));
      await assertRejects(() => left, Error, "gone");
      assertEquals(await Promise.all([first, last]), ["1", "2"]);
      assertEquals(await db.read("x"), "1");
      assertEquals(db.log.length, 2);
    });
  });
});

Deno.test("Of a hundred writers of one key the last one wins, and all are in the log", async () => {
  await withDatabase(async ({ open }) => {
    await using(open({ sync: "always" }), async (db) => {
      await Promise.all(Array.from({ length: 100 }, (_, index) => db.write("x", `${index}`)));
      assertEquals(await db.read("x"), "99");
      assertEquals(db.log.length, 100);
    });
  });
});

Deno.test("Closing answers waiting requests, refuses later ones, and may be called twice", async () => {
  await withDatabase(async ({ open }) => {
    const db = open({ sync: "always" });
    const waiting = Array.from({ length: 50 }, (_, index) => db.write(`${index}`, "1"));
    const closed = db.close();
    await assertRejects(() => db.write("late", "1"), DatabaseBusyError, "being closed");
    assertEquals((await Promise.all(waiting)).length, 50);
    await closed;
    await db.close();
    await using(open(), (again) => assertEquals(again.size, 50));
  });
});

Deno.test("A failed sync ends every answer, is never tried again, and is remembered", async () => {
  await withDatabase(async ({ paths, storage }) => {
    const faults = new Faults();
    const faulty = faultyStorage(systemStorage(), faults);
    const db = init(paths.map, paths.log, { storage: faulty, sync: "always" });
    await db.write("x", "1");
    faults.failAt("sync", 1, "EIO");
    const before = faults.count("sync");
    await assertRejects(() => db.write("x", "2"), DatabaseFailedError, "countd db repair");
    assert(await db.failed instanceof DatabaseFailedError);
    await assertRejects(() => db.read("x"), DatabaseFailedError);
    await assertRejects(() => db.write("y", "3"), DatabaseFailedError);
    await assertRejects(() => db.flush(), DatabaseFailedError);
    await assertRejects(() => db.close(), DatabaseFailedError);
    // The failed sync, and those of the mark (its file and its directory); none of the log.
    assertEquals(faults.count("sync") - before, 3);
    assert(isMarkedFailed(storage, paths.map));
    assertThrows(() => init(paths.map, paths.log, { storage }), CorruptError, "marked failed");
    repairDatabase(storage, paths, { out: null });
    assertEquals(isMarkedFailed(storage, paths.map), false);
    await using(init(paths.map, paths.log, { storage }), async (again) => {
      assert(["1", "2"].includes(await again.read("x")));
      await again.write("x", "3");
    });
  });
});

Deno.test("A sync that fails while a snapshot is written fails the database as well", async () => {
  for (const nth of [1, 2, 3]) {
    await withDatabase(async ({ paths, storage }) => {
      const faults = new Faults();
      const db = init(paths.map, paths.log, {
        storage: faultyStorage(systemStorage(), faults),
        sync: "os",
      });
      await db.write("x", "1");
      faults.failAt("sync", nth, "EIO");
      await assertRejects(() => db.snapshot());
      await assertRejects(() => db.read("x"), DatabaseFailedError);
      await assertRejects(() => db.close(), DatabaseFailedError);
      repairDatabase(storage, paths, { out: null });
      await using(init(paths.map, paths.log, { storage }), async (again) => {
        assertEquals(await again.read("x"), "1");
      });
    });
  }
});

Deno.test("On a full disk a set is refused with nothing changed, and works again when there is space", async () => {
  for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
    await withDatabase(async ({ paths }) => {
      const faults = new Faults();
      const storage = faultyStorage(systemStorage(), faults);
      const model = new Model();
      const db = init(paths.map, paths.log, { storage });
      const write = async (key: string, value: string) => {
        await db.write(key, value);
        model.take({ call: "write", key, value });
      };
      await write("x", "1");
      faults.failFrom("allocate", 1, code);
      const large = "v".repeat(200_000);
      await assertRejects(() => db.write("x", large), StorageFullError, "No space left");
      await assertRejects(() => db.log.setEntries([]).then(() => db.write("x", large)));
      model.take({ call: "set", entries: [] });
      // An entry that fits into the allocated space is still accepted.
      await write("y", "2");
      assertEquals(databaseText(db), model.toText());
      faults.heal();
      await write("x", large);
      await db.close();
      await using(
        init(paths.map, paths.log, { storage }),
        (again) => assertEquals(databaseText(again), model.toText()),
      );
    });
  }
});

Deno.test("A snapshot on a full disk is put off; sets, reads and a restart work as before", async () => {
  await withDatabase(async ({ paths }) => {
    const faults = new Faults();
    const said: string[] = [];
    const events = { report: (_: string, event: string) => void said.push(event) };
    const storage = faultyStorage(systemStorage(), faults);
    const db = init(paths.map, paths.log, { storage, events, sync: "os" });
    const value = "v".repeat(100_000);
    // The log doubles to 64 MiB, enough for all that follows, so that only the map has to grow.
    for (let index = 0; index < 35; index++) await db.write("filler", "f".repeat(2 ** 20));
    await db.write("filler", "");
    // The first call may wait for a snapshot that had begun already.
    for (let round = 0; round < 2; round++) await db.snapshot();
    const generation = db.status().snapshotGeneration;
    faults.failFrom("allocate", 1, "ENOSPC");
    for (let index = 0; index < 180; index++) await db.write(`key-${index}`, value);
    await waitUntil("the event", () => said.includes("database snapshot put off"));
    assertEquals(db.status().snapshotGeneration, generation);
    assertEquals(await db.read("key-179"), value);
    await db.close();
    faults.heal();
    await using(init(paths.map, paths.log, { storage }), (again) => assertEquals(again.size, 181));
  });
});

Deno.test("Sets go on while a snapshot is written, and a restart finds them all", async () => {
  await withDatabase(async ({ open }) => {
    const model = new Model();
    const db = open({ sync: "os" });
    const write = async (key: string, value: string) => {
      await db.write(key, value);
      model.take({ call: "write", key, value });
    };
    for (let index = 0; index < 2000; index++) await write(`key-${index}`, "v".repeat(1000));
    let isOver = false;
    const snapshot = db.snapshot().then(() => isOver = true);
    let sets = 0;
    while (!isOver) {
      await write(`key-${sets * 37 % 3000}`, `new ${sets}`);
      sets++;
    }
    await snapshot;
    assert(sets > 100, `${sets} sets during the snapshot`);
    assert(db.status().replayBytes > 0);
    await db.abandon();
    await using(open(), (again) => assertEquals(databaseText(again), model.toText()));
  });
});

Deno.test("With always, many writers go on while one snapshot follows the other", async () => {
  await withDatabase(async ({ open }) => {
    const db = open({ sync: "always" });
    let isOver = false;
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      for (let index = 0; index < 40; index++) {
        const value = `${writer}-${index}`.repeat(50);
        assertEquals(await db.write(`key-${writer}`, value), value);
        assertEquals(await db.read(`key-${writer}`), value);
      }
    });
    const snapshots = (async () => {
      while (!isOver) await db.snapshot();
    })();
    await Promise.all(writers);
    isOver = true;
    await snapshots;
    const text = databaseText(db);
    assert(db.status().snapshotGeneration > 2);
    await db.abandon();
    await using(open(), (again) => assertEquals(databaseText(again), text));
  });
});

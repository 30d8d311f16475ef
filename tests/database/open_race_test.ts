/**
 * Two processes that open the same files at once. A process that makes a pair, converts files or
 * completes an exchange holds the old files while the new ones get their names. Before it locks the new
 * files another process can lock them and be the owner.
 *
 * The story: the loser of that race removed the names that it had made for its locks, and with them the
 * files of the winner. The winner served on without names and lost everything at its end. It was first
 * seen at a start of four servers: one said "missing or empty", and none served.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseInUseError, type DB, init, repairDatabase } from "../../src/database/mod.ts";
import { newPath } from "../../src/database/files/publish.ts";
import type { Storage } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { type TestFiles, using, withDatabase } from "./support.ts";

/** Storage of a process that renames the files; just before it locks them again, a winner opens them. */
function overtaken({ storage, paths }: TestFiles): { storage: Storage; winner: () => DB } {
  let winner: DB | null = null;
  let isInPlace = false;
  const loser = overridden<Storage>(storage, {
    rename(from, to) {
      storage.rename(from, to);
      isInPlace ||= to === paths.map;
    },
    open(path, options) {
      if (isInPlace && path === paths.map) winner ??= init(paths.map, paths.log, { storage });
      return storage.open(path, options);
    },
  });
  return {
    storage: loser,
    winner() {
      if (winner === null) throw new Error("The winner has not opened the files");
      return winner;
    },
  };
}

/** The winner has these keys, and they are still there after its end. Every value is "1". */
async function assertOwns(files: TestFiles, winner: DB, keys: readonly string[]): Promise<void> {
  await using(winner, async (db) => {
    await assertHolds(db, keys);
    await db.write("later", "1");
  });
  await using(files.open(), (db) => assertHolds(db, [...keys, "later"]));
}

async function assertHolds(db: DB, keys: readonly string[]): Promise<void> {
  assertEquals(db.size, keys.length);
  for (const key of keys) assertEquals(await db.read(key), "1");
}

for (
  const { name, map, kept } of [
    { name: "in an empty directory", map: null, kept: [] },
    { name: "from a map of the original alone", map: '{"x":"1"}', kept: ["db.json.orig"] },
  ]
) {
  Deno.test(`The loser of a race for new files ${name} leaves them to the winner`, async () => {
    await withDatabase(async (files) => {
      if (map !== null) files.put("map", map);
      const { storage, winner } = overtaken(files);
      assertThrows(() => files.open({ storage }), DatabaseInUseError);
      assertEquals(files.names(), [...new Set(["db.json", ...kept, "log.json"])].sort());
      await assertOwns(files, winner(), map === null ? [] : ["x"]);
    });
  });
}

/** Leaves an exchange that was cut short before its second rename: the map has its hidden name. */
async function interrupt(files: TestFiles): Promise<void> {
  await using(files.open(), async (db) => void await db.write("x", "1"));
  Deno.renameSync(files.paths.map, newPath(files.paths.map));
}

Deno.test("The loser of a race for an interrupted exchange leaves the files to the winner", async () => {
  await withDatabase(async (files) => {
    await interrupt(files);
    const { storage, winner } = overtaken(files);
    assertThrows(() => files.open({ storage }), DatabaseInUseError);
    await assertOwns(files, winner(), ["x"]);
  });
});

Deno.test("A repair that loses the race leaves the files to the winner", async () => {
  await withDatabase(async (files) => {
    await interrupt(files);
    const { storage, winner } = overtaken(files);
    assertThrows(
      () => repairDatabase(storage, files.paths, { out: `${files.directory}/repaired` }),
      DatabaseInUseError,
    );
    await assertOwns(files, winner(), ["x"]);
  });
});

Deno.test("A conversion whose last sync fails keeps the new files, with the content of the old ones", async () => {
  await withDatabase(async (files) => {
    files.put("map", '{"x":"1"}');
    let isInPlace = false;
    const storage = overridden<Storage>(files.storage, {
      rename(from, to) {
        files.storage.rename(from, to);
        isInPlace = to === files.paths.map;
      },
      syncDirectory(path) {
        if (isInPlace) throw new Error("Planted: the directory cannot be synced");
        files.storage.syncDirectory(path);
      },
    });
    assertThrows(() => files.open({ storage }), Error, "Planted");
    await using(files.open(), async (db) => assertEquals(await db.read("x"), "1"));
  });
});

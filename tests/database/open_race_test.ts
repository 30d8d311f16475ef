/**
 * Two that open the same files at once. Whoever makes a pair, converts one or finishes an exchange
 * holds the old files while the new ones take their names; between that and its locks on the new ones
 * somebody else can be the owner.
 *
 * The story: the loser of that race took away the names that it had made for its locks, and so the
 * files of the winner, which served on without a name and lost everything at its end. Seen first as a
 * start of four servers of which one said "missing or empty" and none served.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseInUseError, type DB, init, repairDatabase } from "../../src/database/mod.ts";
import { newPath } from "../../src/database/files/publish.ts";
import type { Storage } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { type TestFiles, using, withDatabase } from "./support.ts";

/** Somebody else opens the files just before the one that gave them their names locks them again. */
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
      if (winner === null) throw new Error("Nobody came between");
      return winner;
    },
  };
}

/** What the winner has, it still has after its end. Every value is "1". */
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
    { name: "on nothing", map: null, kept: [] },
    { name: "on a map of the original and no log", map: '{"x":"1"}', kept: ["db.json.orig"] },
  ]
) {
  Deno.test(`D32 Who loses the race for new files ${name} leaves them to the winner`, async () => {
    await withDatabase(async (files) => {
      if (map !== null) files.put("map", map);
      const { storage, winner } = overtaken(files);
      assertThrows(() => files.open({ storage }), DatabaseInUseError);
      assertEquals(files.names(), [...new Set(["db.json", ...kept, "log.json"])].sort());
      await assertOwns(files, winner(), map === null ? [] : ["x"]);
    });
  });
}

/** An exchange that ended before its second rename, with no map in the place of the old one. */
async function interrupt(files: TestFiles): Promise<void> {
  await using(files.open(), async (db) => void await db.write("x", "1"));
  Deno.renameSync(files.paths.map, newPath(files.paths.map));
}

Deno.test("D32 Who loses the race for an exchange that it finishes leaves the files to the winner", async () => {
  await withDatabase(async (files) => {
    await interrupt(files);
    const { storage, winner } = overtaken(files);
    assertThrows(() => files.open({ storage }), DatabaseInUseError);
    await assertOwns(files, winner(), ["x"]);
  });
});

Deno.test("D32 A repair that loses the race leaves the files to the winner", async () => {
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

Deno.test("A conversion whose last sync fails keeps the new files, which hold what the old ones held", async () => {
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

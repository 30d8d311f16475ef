/** A database whose names were not synced, because each process that made it was killed before that. */

import { assertEquals, assertThrows } from "@std/assert";
import { check, init } from "../../src/database/mod.ts";
import { cutKeepsData } from "../support/simulated_cut.ts";
import { SimulatedCrash, SimulatedDisk } from "../support/simulated_disk.ts";
import { using } from "./support.ts";

const onePlace = { map: "/db/map", log: "/db/log" };
const twoPlaces = { map: "/db/map", log: "/logs/log" };

// The story: the first open was killed after it had renamed the log and before it synced the directory.
// The second was killed likewise after renaming the map. The third found a pair and served. A power cut
// removed both names, and the next start silently made an empty database.
for (
  const { name, paths, kills } of [
    { name: "once, two places", paths: twoPlaces, kills: [twoPlaces.log] },
    { name: "once, one place", paths: onePlace, kills: [onePlace.log] },
    { name: "twice, two places", paths: twoPlaces, kills: [twoPlaces.log, twoPlaces.map] },
    { name: "twice, one place", paths: onePlace, kills: [onePlace.log, onePlace.map] },
  ]
) {
  Deno.test(`An acknowledged set survives if processes were killed after a rename: ${name}`, async () => {
    let disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 20 });
    const maker = disk.process("maker");
    for (const directory of ["/db", "/logs"]) maker.makeDirectory(directory, 0o700);
    maker.syncDirectory("/");
    for (const path of kills) {
      const current = disk;
      const storage = current.process(`killed at ${path}`);
      current.observer = (event) => {
        if (event.kind === "rename" && event.when === "after" && event.path === path) {
          throw current.crash(null);
        }
      };
      const crash = assertThrows(
        () => init(paths.map, paths.log, { storage, sync: "always" }),
        SimulatedCrash,
      );
      disk = crash.disk;
    }
    const server = disk.process("server");
    await init(paths.map, paths.log, { storage: server, sync: "always" }).write("x", "1");
    const storage = disk.powerCut(cutKeepsData).process("after");
    await using(init(paths.map, paths.log, { storage, create: false }), async (db) => {
      assertEquals(await db.read("x"), "1");
    });
    assertEquals(check(storage, paths), []);
  });
}

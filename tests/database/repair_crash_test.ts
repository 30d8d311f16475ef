/** Repair in place, crashed at every persistence operation and run again. */

import { assert, assertEquals } from "@std/assert";
import { check, init, repairDatabase } from "../../src/database/mod.ts";
import { explore } from "../crash/explore.ts";
import { EntryCursor } from "../../src/database/format/frame.ts";
import { identityOf } from "../../src/database/format/layout.ts";
import { decodeLogHeader } from "../../src/database/format/header.ts";

const paths = { map: "/db/map", log: "/db/log" };

Deno.test("A repair in place that is cut short anywhere is completed by the next one", async () => {
  const explored = await explore<null>({
    name: "repair",
    disk: { sizeBytes: 8 * 2 ** 20, mappingReserveBytes: 2 ** 20 },
    newOracle: () => null,
    copyOracle: () => null,
    signature: () => "",
    async prepare(disk) {
      const storage = disk.process("maker");
      storage.makeDirectory("/db", 0o700);
      using json = storage.open(paths.map, { access: "write", create: "exclusive" });
      json.write(new TextEncoder().encode('{"base":"kept"}'), 0);
      json.close();
      const db = init(paths.map, paths.log, { storage, sync: "always" });
      await db.write("x", "1");
      await db.write("x", "2");
      await db.snapshot();
      await db.write("y", "3");
      await db.close();
      // The first frame is broken; its entry is in the snapshot.
      using file = storage.open(paths.log, { access: "write" });
      const bytes = new Uint8Array(file.status().size);
      file.read(bytes, 0);
      const { seed } = identityOf(decodeLogHeader(bytes, paths.log)?.identity ?? 0n);
      assert(new EntryCursor(bytes, seed).at(4096, bytes.length));
      file.write(new Uint8Array([0xee]), 4096 + 60);
    },
    work: (disk) => void repairDatabase(disk.process("repair"), paths, { out: null }),
    recover: (disk) => void repairDatabase(disk.process("repair again"), paths, { out: null }),
    async verify(disk) {
      const storage = disk.process("reader");
      assertEquals(check(storage, paths), []);
      const db = init(paths.map, paths.log, { storage });
      assertEquals([...db.entries()].sort(), [["base", "kept"], ["x", "2"], ["y", "3"]]);
      assertEquals(db.log.length, 2);
      await db.close();
    },
  });
  assert(explored.images > 20, `${explored.images} images`);
});

/** A check, and a server that starts beside it. */

import { assertEquals, assertThrows } from "@std/assert";
import { check, DatabaseInUseError, init } from "../../src/database/mod.ts";
import type { Storage, StoredFile } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { using } from "./support.ts";

const paths = { map: "/map", log: "/log" };

// The story: a check tested whether the files were locked, and mapped them. Then a server started, and
// truncated the zeros that a killed one had left behind the log. The check, which had not read that far
// yet, died of SIGBUS.
Deno.test("A server that starts while the database is checked is refused, and starts afterwards", async () => {
  const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 20 });
  const killed = disk.process("killed");
  await init(paths.map, paths.log, { storage: killed, sync: "always" }).write("x", "1");
  killed.kill();
  const server = disk.process("server");
  const size = server.status(paths.log).size;
  const refused: string[] = [];
  const start = () => {
    const error = assertThrows(
      () => init(paths.map, paths.log, { storage: server }),
      DatabaseInUseError,
    );
    refused.push(error.message);
    assertEquals(server.status(paths.log).size, size);
  };
  const inner = disk.process("check");
  const storage = overridden<Storage>(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      return overridden<StoredFile>(file, {
        map(length, access) {
          start();
          // Two checks may run at the same time.
          assertEquals(check(server, paths), []);
          return file.map(length, access);
        },
      });
    },
  });
  assertEquals(check(storage, paths), []);
  const message = "Cannot open /map: it is being checked; try again when the check has ended";
  assertEquals(refused, [message, message]);
  await using(init(paths.map, paths.log, { storage: server }), async (db) => {
    assertEquals(await db.read("x"), "1");
    assertThrows(() => check(storage, paths), DatabaseInUseError, "another process has it open");
  });
  assertEquals(check(inner, paths), []);
});

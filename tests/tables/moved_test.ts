/** The directory of a table is moved away, or replaced, in the middle of a write. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { checkTables, TableLostError, TableRoot } from "../../src/tables/mod.ts";
import { overridden } from "../support/overridden.ts";
import { cutKeepsNothing } from "../support/simulated_cut.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { asText, bytes, LOCK_TIMEOUT_MS } from "./support.ts";

const options = { lockTimeoutMs: LOCK_TIMEOUT_MS };

const calls = {
  "set of a new key": (root: TableRoot) => root.set("new", bytes("later")),
  "set of a key": (root: TableRoot) => root.set("k", bytes("later")),
  create: (root: TableRoot) => root.create("new", bytes("later")),
  update: (root: TableRoot) => root.update("k", bytes("later")),
  delete: (root: TableRoot) => root.delete("k"),
} as const;

// Story: the names were synced by the path of the directory. If another one had it by then, that one was synced, and
// the call succeeded: its key was in no table of that name, and a power cut took it where it was.
for (const [name, call] of Object.entries(calls)) {
  for (const isReplaced of [false, true]) {
    const what = isReplaced ? "replaced" : "moved away";
    Deno.test(`A ${name} in a directory that is ${what} before it is synced is refused, and durable there`, async () => {
      const disk = new SimulatedDisk();
      const inner = disk.process("writer");
      await new TableRoot(inner, "/tables", options).set("k", bytes("old"));
      let isMoved = false;
      const storage = overridden(inner, {
        reach(point) {
          inner.reach(point);
          if (point !== "table.names.before") return;
          isMoved = true;
          inner.rename("/tables", "/moved");
          if (isReplaced) inner.makeDirectory("/tables", 0o700);
          inner.syncDirectory("/");
        },
      });
      const root = new TableRoot(storage, "/tables", options);
      const error = await assertRejects(() => call(root), TableLostError);
      assert(isMoved && error.message.startsWith("The directory /tables was removed, moved"));

      const after = disk.powerCut(cutKeepsNothing).process("later");
      const there = new TableRoot(after, "/moved", options);
      const expected: Record<string, string> = name === "delete"
        ? {}
        : name.includes("new") || name === "create"
        ? { k: "old", new: "later" }
        : { k: "later" };
      const found: Record<string, string> = {};
      for (const key of [...there.keys()].sort()) found[key] = asText(await there.get(key));
      assertEquals(found, expected);
      assertEquals(checkTables(after, "/moved"), []);
    });
  }
}

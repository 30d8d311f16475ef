/** What makes a copy of a data directory opens the descriptor that syncs it before it writes the first file. */

import { assertEquals } from "@std/assert";
import { backup, repair, restore } from "../../src/admin/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { DATA, openPool, someHolder, stillClock } from "../crash/counter_subject.ts";
import { overridden } from "../support/overridden.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";

const self = someHolder;
const IN_COPY = /\.partial-[0-9a-f]+\/copy\//;

/** Notes the steps of a copy; the same step several times in a row is one. */
function watched(inner: Storage): { readonly storage: Storage; readonly steps: string[] } {
  const steps: string[] = [];
  const note = (step: string) => {
    if (steps.at(-1) !== step) steps.push(step);
  };
  const storage = overridden(inner, {
    open(path, options) {
      if (options.access === "write" && IN_COPY.test(path)) note("write");
      return inner.open(path, options);
    },
    openFileSystem(path) {
      note("open the file system");
      const fileSystem = inner.openFileSystem(path);
      return overridden(fileSystem, {
        sync() {
          note("sync");
          fileSystem.sync();
        },
      });
    },
    rename(from, to) {
      if (!IN_COPY.test(to)) note("publish");
      inner.rename(from, to);
    },
  });
  return { storage, steps };
}

// Story: the descriptor was opened after the writes. The system tells of a write that failed only those that
// were open then, so a copy that had lost pages was called durable.
Deno.test("A backup, a restore and a repaired copy are synced through a descriptor that is older than they are", async () => {
  const disk = new SimulatedDisk();
  (await openPool(disk.process("prepare"))).directory.close();
  const verbs = {
    backup: (storage: Storage) => backup(storage, DATA, "/backup", { self, clock: stillClock }),
    restore: (storage: Storage) => restore(storage, "/backup", "/restored", { self }),
    repair: (storage: Storage) => repair(storage, DATA, { self, out: "/repaired" }),
  };
  for (const [verb, run] of Object.entries(verbs)) {
    const { storage, steps } = watched(disk.process(verb));
    await run(storage);
    assertEquals([verb, ...steps], [verb, "open the file system", "write", "sync", "publish"]);
  }
});

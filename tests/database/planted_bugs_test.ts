/** Tests of the crash tests: each of these bugs, planted below the database, must be found. */

import { assertRejects } from "@std/assert";
import type { Storage, StoredFile } from "../../src/file/mod.ts";
import { explore } from "../crash/explore.ts";
import { overridden } from "../support/overridden.ts";
import { plans } from "./crash_plans.ts";
import { databaseSubject } from "./crash_subject.ts";

/** A storage whose syncs do nothing between two fault points. */
function skipping(from: string, to: string): (inner: Storage) => Storage {
  return (inner) => {
    let isSkipping = false;
    return overridden(inner, {
      reach(point) {
        inner.reach(point);
        if (point === from) isSkipping = true;
        if (point === to) isSkipping = false;
      },
      open(path, options) {
        const file = inner.open(path, options);
        return overridden<StoredFile>(file, {
          syncData: () => void (isSkipping || file.syncData()),
          sync: () => void (isSkipping || file.sync()),
          syncDataAsync: async () => void (isSkipping || await file.syncDataAsync()),
        });
      },
    });
  };
}

const bugs = [
  {
    bug: "answers before the log is durable",
    plan: plans.sets,
    plant: skipping("db.sync.log.before", "db.sync.log.after"),
  },
  {
    bug: "a header before its snapshot is durable",
    plan: plans.snapshots,
    plant: skipping("db.snapshot.region.before", "db.snapshot.region.after"),
  },
  {
    bug: "a pair in place before it is durable",
    plan: plans.conversion,
    plant: skipping("db.publish.write.before", "db.publish.write.after"),
  },
  {
    bug: "names that no sync of their directory made durable",
    plan: plans.creation,
    plant: (inner: Storage) => overridden(inner, { syncDirectory: () => {} }),
  },
];

for (const { bug, plan, plant } of bugs) {
  Deno.test(`The crash tests find a planted bug: ${bug}`, async () => {
    await assertRejects(() => explore(databaseSubject({ ...plan, plant })), Error, plan.name);
  });
}

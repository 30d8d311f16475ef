/** A keyspace of another format: every command names it as what it is, and none changes it. */

import { crc32 } from "node:zlib";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FailedError } from "../../src/base/errors.ts";
import { NewerFormatError, OldFormatError } from "../../src/base/format.ts";
import { systemClock } from "../../src/base/clock.ts";
import {
  backup,
  checkDirectory,
  clearFailed,
  repair,
  restore,
  statusOf,
} from "../../src/admin/mod.ts";
import { verifyManifest, writeManifest } from "../../src/admin/manifest.ts";
import { describeSelf, pathOfSlot } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { fold, pathOf, sealLog } from "../counters/worker/folding.ts";
import { type TestDirectory, withDataDirectory } from "../support/data_directory.ts";
import { ofNewerFormat } from "../support/other_format.ts";

const storage = systemStorage();
const options = { self: describeSelf(storage) };

/** Two keyspaces, and a directory that no process has open. */
async function withTwo(
  body: (test: TestDirectory, path: string) => Promise<void>,
  options: { readonly checks?: boolean } = {},
): Promise<void> {
  await withDataDirectory(async (test) => {
    await sealLog(test, [["one", "a", 1n], ["two", "a", 1n]]);
    await fold(test);
    await body(test, pathOf(test, "one"));
  }, options);
}

function goldenOfVersion1(): Uint8Array {
  return Deno.readFileSync(new URL("../golden/keyspace-1.bin", import.meta.url));
}

const formats = [
  {
    what: "a later version",
    make: (whole: Uint8Array) => ofNewerFormat(whole, "version"),
    error: NewerFormatError,
    says: "has format 3, and this countd reads format 2: use a newer countd",
  },
  {
    what: "an unknown feature",
    make: (whole: Uint8Array) => ofNewerFormat(whole, "feature"),
    error: NewerFormatError,
    says: "has features that this countd does not know (0x80): use a newer countd",
  },
  {
    what: "version 1",
    make: goldenOfVersion1,
    error: OldFormatError,
    says: "has format 1, and this countd reads format 2: print its counters",
  },
];

for (const { what, make, error, says } of formats) {
  Deno.test(`A keyspace file of ${what} is named by every command, and changed by none`, async () => {
    await withTwo(async (test, path) => {
      const foreign = make(Deno.readFileSync(path));
      Deno.writeFileSync(path, foreign);
      const sentence = `Keyspace file ${path} ${says}`;

      const checked = checkDirectory(storage, test.data, options);
      assertEquals([checked.violations, checked.checked.keyspaces], [[], 2]);
      assertEquals(checked.otherFormats.map((each) => each.slice(0, sentence.length)), [sentence]);
      assertEquals(checked.notChecked.length, 1);
      assert(checked.notChecked[0]?.startsWith("rule 12 of the logs"), checked.notChecked[0]);

      const status = await statusOf(test.directory, systemClock);
      assert(status.troubles.some((each) => each.startsWith(sentence)), String(status.troubles));

      await assertRejects(
        () => backup(storage, test.data, `${test.data}-backup`, { ...options, clock: systemClock }),
        error,
        says,
      );
      assertEquals(storage.statusOrNull(`${test.data}-backup`), null);
      test.directory.close();

      assertThrows(() => clearFailed(storage, test.data, options), FailedError, says);
      const repaired = repair(storage, test.data, { ...options, out: `${test.data}-repaired` });
      assertEquals(Deno.readFileSync(`${test.data}-repaired/keyspaces/one`), foreign);
      assertEquals(repaired.remaining, []);
      const inPlace = repair(storage, test.data, { ...options, out: null });
      assertEquals([inPlace.remaining, inPlace.actions.length], [[], 1]);
      const [action] = inPlace.actions;
      assertEquals([action?.noun, action?.path, action?.saved], ["keyspaces", path, null]);
      assert(action?.what.startsWith("left alone, because it is not damaged: "), action?.what);
      assertEquals(Deno.readFileSync(path), foreign);
    });
  });
}

Deno.test("Damage beside a keyspace of another format is reported and repaired as ever", async () => {
  await withTwo((test, path) => {
    const foreign = ofNewerFormat(Deno.readFileSync(path), "version");
    Deno.writeFileSync(path, foreign);
    const other = pathOf(test, "two");
    Deno.writeFileSync(other, Deno.readFileSync(other).fill(7, 0, 500));
    const checked = checkDirectory(storage, test.data, options);
    assertEquals(
      [checked.violations.length, checked.otherFormats.length],
      [0, 1],
      "one copy is whole",
    );
    Deno.writeFileSync(other, Deno.readFileSync(other).fill(7));
    assertEquals(checkDirectory(storage, test.data, options).violations.map((each) => each.path), [
      other,
    ]);
    test.directory.close();
    const { actions, remaining } = repair(storage, test.data, { ...options, out: null });
    assertEquals(remaining, []);
    assertEquals(actions.map((each) => [each.path, each.saved !== null]), [[path, false], [
      other,
      true,
    ]]);
    assertEquals(Deno.readFileSync(path), foreign);
    return Promise.resolve();
  });
});

/** The checksum of every file below a directory, by path; without `control`, which names holders of locks. */
function contentOf(directory: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) { for (const [below, sum] of contentOf(path)) found.set(below, sum); }
    else if (name !== "control") found.set(path, crc32(Deno.readFileSync(path)));
  }
  return found;
}

// Story: repair made a missing log again at generation 0, and gave a log without a header a generation that it
// found among the first 64, because a keyspace of a newer format did not say what it had applied. The next
// increments were below that and were left out as counted, in silence.
for (const damage of ["missing", "without a header", "all missing"] as const) {
  Deno.test(`Repair refuses a log that is ${damage} beside a keyspace of another format`, async () => {
    await withTwo((test, path) => {
      Deno.writeFileSync(path, ofNewerFormat(Deno.readFileSync(path), "version"));
      const log = pathOfSlot(test.directory.paths.logs, 0);
      Deno.chmodSync(log, 0o600);
      if (damage === "missing") Deno.removeSync(log);
      else if (damage === "without a header") {
        Deno.writeFileSync(log, Deno.readFileSync(log).fill(7, 0, 4096));
      } else Deno.removeSync(test.directory.paths.logs, { recursive: true });
      test.directory.close();
      const before = contentOf(test.data);
      for (const out of [null, `${test.data}-repaired`]) {
        assertThrows(() => repair(storage, test.data, { ...options, out }), NewerFormatError, log);
      }
      assertEquals(storage.statusOrNull(`${test.data}-repaired`), null);
      assertEquals(contentOf(test.data), before);
      return Promise.resolve();
    }, { checks: false });
  });
}

// Story: restore made a log that is not in the backup with generation 0, although a keyspace of a newer format
// had applied uses of it, and said that all was well.
Deno.test("Restore refuses a backup with a keyspace of another format", async () => {
  await withTwo(async (test) => {
    const copy = `${test.data}-backup`;
    await backup(storage, test.data, copy, { ...options, clock: systemClock });
    const path = `${copy}/keyspaces/one`;
    Deno.writeFileSync(path, ofNewerFormat(Deno.readFileSync(path), "version"));
    Deno.removeSync(`${copy}/backup.json`);
    verifyManifest(storage, copy, writeManifest(storage, copy, 0));
    const target = `${test.data}-restored`;
    assertThrows(
      () => restore(storage, copy, target, options),
      FailedError,
      "has format 3, and this countd reads format 2: use a newer countd",
    );
    assertEquals(storage.statusOrNull(target), null);
  });
});

/** A keyspace of another format: every command names it as what it is, and none changes it. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FailedError } from "../../src/base/errors.ts";
import { NewerFormatError, OldFormatError } from "../../src/base/format.ts";
import { systemClock } from "../../src/base/clock.ts";
import { backup, checkDirectory, clearFailed, repair, statusOf } from "../../src/admin/mod.ts";
import { describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { fold, pathOf, sealLog } from "../counters/worker/folding.ts";
import { type TestDirectory, withDataDirectory } from "../support/data_directory.ts";
import { ofNewerFormat } from "../support/other_format.ts";

const storage = systemStorage();
const options = { self: describeSelf(storage) };

/** Two keyspaces, and a directory that no process has open. */
async function withTwo(body: (test: TestDirectory, path: string) => Promise<void>): Promise<void> {
  await withDataDirectory(async (test) => {
    await sealLog(test, [["one", "a", 1n], ["two", "a", 1n]]);
    await fold(test);
    await body(test, pathOf(test, "one"));
  });
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

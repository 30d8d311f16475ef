/** Texts that are too long for the runtime to read are not written: manifests and exports. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { readManifest, writeManifest } from "../../src/admin/manifest.ts";
import { FailedError } from "../../src/base/errors.ts";
import { exportDatabase } from "../../src/database/mod.ts";
import { type Storage, systemStorage, writeText } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const LONGEST = 2 ** 29 - 24;

/** A storage whose writes cost nothing. */
function withoutWrites(): Storage {
  const real = systemStorage();
  return overridden(real, {
    open: (path, options) => overridden(real.open(path, options), { write: () => {} }),
  });
}

// Story: an export of any size succeeded, and an import refused the files.
Deno.test("An export refuses a text that no import can read, and leaves no file", async () => {
  await withTemporaryDirectory((directory) => {
    const value = "v".repeat(2 ** 24);
    const exported = (values: [string, string][]) =>
      exportDatabase(
        {
          size: values.length,
          entries: () => values,
          log: { entries: { length: 0, range: () => [] } as never, committed: 0 },
        },
        withoutWrites(),
        `${directory}/out`,
      );
    const all = Array.from({ length: 32 }, (_, index): [string, string] => [`${index}`, value]);
    const error = assertThrows(() => exported(all), FailedError, "which no program");
    assertStringIncludes(error.message, `Cannot write ${directory}/out/db.json: `);
    assertEquals([...Deno.readDirSync(`${directory}/out`)], []);
    assertEquals(exported(all.slice(0, 3)).keys, 3);
  });
});

Deno.test("A text that is too long to be made is refused as one that is too long to be written", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/file`;
    using file = withoutWrites().open(path, { access: "write", create: "exclusive" });
    const pieces = ["first", "x".repeat(LONGEST)];
    assertThrows(
      () => writeText(file, pieces, { path, advice: "split it" }),
      FailedError,
      "split it",
    );
  });
});

// Story: a backup of millions of keys succeeded, and restore called its manifest damaged.
Deno.test("A manifest that no restore can read is refused, and a longer one than before is read", async () => {
  await withTemporaryDirectory((directory) => {
    const storage = withoutWrites();
    Deno.writeTextFileSync(`${directory}/file`, "content");
    const long = "\u0001".repeat(4000);
    const names = Array.from({ length: Math.ceil(LONGEST / 24_000) }, (_, at) => `${at}${long}`);
    const isLong = (path: string) => path.endsWith(long);
    const plain = (path: string) => isLong(path) ? `${directory}/file` : path;
    const large = overridden(storage, {
      readDirectory: () => names,
      statusOrNull: (path) => storage.statusOrNull(plain(path)),
      open: (path, options) => storage.open(plain(path), options),
    });
    assertThrows(() => writeManifest(large, directory, 0), FailedError, "directory of the tables");
    Deno.removeSync(`${directory}/backup.json`);

    writeManifest(systemStorage(), directory, 0);
    using file = Deno.openSync(`${directory}/backup.json`, { append: true });
    const blanks = new Uint8Array(2 ** 24).fill(0x20);
    for (let written = 0; written < 2 ** 28; written += blanks.length) file.writeSync(blanks);
    assertEquals(readManifest(systemStorage(), directory).files.map(({ path }) => path), ["file"]);
  });
});

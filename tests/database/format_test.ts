/**
 * Files of every released format. Those of the present one were made by the program of its time, and are
 * read, checked and written; those of another format are refused in words, and never changed.
 *
 * To make the files of a new format: COUNTD_TEST_GOLDEN=write with this test.
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { crc32, gunzipSync, gzipSync } from "node:zlib";
import {
  check,
  type DB,
  exportDatabase,
  importDatabase,
  NewerFormatError,
  OldFormatError,
  repairDatabase,
} from "../../src/database/mod.ts";
import {
  FORMAT_VERSION,
  HEADER_COPY_BYTES,
  logHeaderLayout as at,
  logMarkLayout,
  mapHeaderLayout,
} from "../../src/database/format/layout.ts";
import { type TestFiles, using, withDatabase } from "./support.ts";

const BOTH = ["map", "log"] as const;

const goldenUrl = (version: number, which: "map" | "log") =>
  new URL(`../golden/db-${version}-${which}.gz`, import.meta.url);

function putGolden(files: TestFiles, version: number): void {
  for (const which of BOTH) {
    files.put(which, gunzipSync(Deno.readFileSync(goldenUrl(version, which))));
  }
}

/** A snapshot, entries behind it, an entry that is not committed, and one that was replaced. */
async function writeGolden(db: DB): Promise<void> {
  await db.write("x", "1");
  await db.write("ключ", "<значение>", { term: 2n ** 53n + 1n });
  await db.snapshot();
  await db.write("x", "2", { term: 3n });
  await db.log.appendEntry({ command: "SET", key: "z", value: "3", term: 3n });
  await db.log.replaceFrom(3, [{ command: "SET", key: "z", value: "4", term: 3n }]);
}

Deno.test("Files of the present format, as their first program wrote them, are read, checked and written", async () => {
  assertEquals(FORMAT_VERSION, 2);
  await withDatabase(async (files) => {
    const { open, read, storage, paths } = files;
    if (Deno.env.get("COUNTD_TEST_GOLDEN") === "write") {
      await using(open(), writeGolden);
      for (const which of BOTH) Deno.writeFileSync(goldenUrl(2, which), gzipSync(read(which)));
    }
    putGolden(files, 2);
    assertEquals(check(storage, paths), []);
    await using(open(), async (db) => {
      assertEquals([db.log.length, db.log.committed], [4, 3]);
      assertEquals([...db.log.entries].map(({ value }) => value), ["1", "<значение>", "2", "4"]);
      assertEquals([...db.log.entries].map(({ term }) => term), [0n, 2n ** 53n + 1n, 3n, 3n]);
      assertEquals([await db.read("ключ"), await db.read("x"), db.size], ["<значение>", "2", 2]);
      await db.write("y", "3");
      assertEquals(db.size, 4);
    });
    await using(open(), (db) => assertEquals(db.log.length, 5));
  });
});

/** Changes both header copies of a file and makes their checksums fit again. */
function reseal(bytes: Uint8Array, change: (copy: DataView) => void): Uint8Array {
  const changed = bytes.slice();
  for (const offset of [0, HEADER_COPY_BYTES]) {
    const copy = changed.subarray(offset, offset + HEADER_COPY_BYTES);
    if (copy[0] === 0) continue;
    const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
    change(view);
    const head = crc32(copy.subarray(0, at.checksum.offset));
    view.setUint32(at.checksum.offset, crc32(copy.subarray(at.compat.offset), head), true);
  }
  return changed;
}

/** Nothing that countd does with the files may change them, or call them damaged. */
function assertRefused(
  { open, read, names, paths, storage, directory }: TestFiles,
  kind: typeof NewerFormatError | typeof OldFormatError,
  said: string,
): void {
  Deno.mkdirSync(`${directory}/in`);
  Deno.writeTextFileSync(`${directory}/in/db.json`, '{"x":"1"}');
  const before = [read("map"), read("log"), names()];
  for (
    const act of [
      () => open(),
      () => check(storage, paths),
      () => repairDatabase(storage, paths, { out: null }),
      () => repairDatabase(storage, paths, { out: `${directory}/in` }),
      () => importDatabase(storage, paths, `${directory}/in`),
    ]
  ) {
    const error = assertThrows(act, kind);
    assertEquals(error.kind, "failed");
    assertStringIncludes(error.message, said);
  }
  assertEquals([read("map"), read("log"), names()], before);
}

Deno.test("Files of format 1 are refused untouched, and the message has the commands that move the data", async () => {
  await withDatabase((files) => {
    putGolden(files, 1);
    assertRefused(files, OldFormatError, "countd db export DUMP");
    // One file alone is enough to know it.
    files.put("map", "");
    assertThrows(() => files.open(), OldFormatError, "countd db import DUMP");
  }, { checks: false });
});

Deno.test("What a database of format 1 exported is imported, with every entry committed", async () => {
  await withDatabase(async ({ open, storage, paths, directory }) => {
    Deno.mkdirSync(`${directory}/dump`);
    // As the export of the program of format 1 has written the files of this test.
    Deno.writeTextFileSync(
      `${directory}/dump/db.json`,
      '{"x":"2","ключ":"\\u003cзначение\\u003e"}',
    );
    const log = '[{"Command":"SET","Key":"x","Value":"1","Term":0},' +
      '{"Command":"SET","Key":"ключ","Value":"\\u003cзначение\\u003e","Term":9007199254740993},' +
      '{"Command":"SET","Key":"x","Value":"2","Term":3},' +
      '{"Command":"SET","Key":"z","Value":"4","Term":3}]';
    Deno.writeTextFileSync(`${directory}/dump/log.json`, log);
    assertEquals(importDatabase(storage, paths, `${directory}/dump`), { keys: 3, entries: 4 });
    await using(open(), (db) => {
      assertEquals([db.log.length, db.log.committed], [4, 4]);
      exportDatabase(db, storage, `${directory}/again`);
    });
    assertEquals(Deno.readTextFileSync(`${directory}/again/log.json`), log);
  });
});

for (const which of BOTH) {
  Deno.test(`A later version of the ${which}, or a feature that is unknown, is never damage`, async () => {
    for (
      const [change, said] of [
        [(view: DataView) => view.setUint32(at.version.offset, 3, true), "use a newer countd"],
        [(view: DataView) => view.setUint32(at.incompat.offset, 0x80, true), "(0x80)"],
      ] as const
    ) {
      await withDatabase((files) => {
        putGolden(files, 2);
        files.put(which, reseal(files.read(which), change));
        assertRefused(files, NewerFormatError, said);
      }, { checks: false });
    }
  });

  Deno.test(`A later version of the ${which} with a wrong checksum is damage`, async () => {
    await withDatabase((files) => {
      const { open, put, read, paths, storage } = files;
      putGolden(files, 2);
      const bytes = read(which);
      for (const offset of [0, HEADER_COPY_BYTES]) bytes[offset + at.version.offset] = 3;
      put(which, bytes);
      assertThrows(() => open(), Error, "neither copy of the header is whole");
      assertEquals(check(storage, paths).map(({ invariant }) => invariant), [
        which === "map" ? 1 : 2,
      ]);
    }, { checks: false });
  });

  Deno.test(`A feature of the ${which} that does no harm, with bytes of its own, is read over`, async () => {
    await withDatabase(async (files) => {
      putGolden(files, 2);
      const changed = reseal(files.read(which), (view) => {
        view.setUint32(at.compat.offset, 1, true);
        view.setUint8(HEADER_COPY_BYTES - 1, 7);
      });
      changed[4000] = 7;
      files.put(which, changed);
      assertEquals(check(files.storage, files.paths), []);
      await using(files.open(), async (db) => {
        assertEquals(db.log.length, 4);
        // Both header copies of the map are stored anew. This once wrote compat 0 beside the other bytes.
        for (const key of ["y", "z"]) {
          await db.write(key, "5");
          await db.snapshot();
        }
      });
      assertEquals(check(files.storage, files.paths), []);
      const after = files.read(which);
      for (const at of [0, HEADER_COPY_BYTES]) {
        if (after[at] === 0) continue;
        assertEquals([after[at + 16], after[at + HEADER_COPY_BYTES - 1], after[4000]], [1, 7, 7]);
      }
      await using(files.open(), (db) => assertEquals(db.log.length, 6));
    });
  });

  Deno.test(`A byte of the ${which} that must be zero and is not is damage, at its offset`, async () => {
    const { zeros } = which === "map" ? mapHeaderLayout : at;
    const rest = which === "map" ? 2 * HEADER_COPY_BYTES : logMarkLayout.zeros.offset;
    for (const offset of [rest, 4095]) {
      await withDatabase((files) => {
        putGolden(files, 2);
        const bytes = files.read(which);
        bytes[offset] = 1;
        files.put(which, bytes);
        assertThrows(() => files.open(), Error, `at byte ${offset}: a byte that must be zero`);
        const found = check(files.storage, files.paths);
        assertEquals(found.map((one) => [one.invariant, one.path, one.offset]), [
          [which === "map" ? 1 : 2, files.paths[which], offset],
        ]);
        const repaired = repairDatabase(files.storage, files.paths, { out: null });
        assertEquals([repaired.entries, repaired.entriesLost], [4, 0]);
      });
    }
    // Behind the fields of a header copy: with a checksum that fits, so it was written so.
    await withDatabase((files) => {
      putGolden(files, 2);
      const bytes = reseal(files.read(which), (view) => view.setUint8(zeros.offset, 1));
      files.put(which, bytes);
      assertThrows(() => files.open(), Error, "neither copy of the header is whole");
      assert(check(files.storage, files.paths).length > 0);
    }, { checks: false });
  });
}

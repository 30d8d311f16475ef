/**
 * Files of every format version that this countd reads can be read, checked and written. Each was made by the
 * program of its time from the batches in `goldenBatches`; a new version adds a file. Those of earlier
 * versions are refused in words.
 *
 * To make the file of a new version: COUNTD_TEST_GOLDEN=write with this test.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { OldFormatError } from "../../../src/base/format.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import {
  Batch,
  check,
  KeyspaceReader,
  KeyspaceWriter,
  rebuildKeyspace,
} from "../../../src/counters/keyspace/mod.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { type Pair, ToyCounters } from "../tree/toy_counters.ts";
import { nameBytes, rowTexts } from "./keyspace_fixture.ts";

const VERSIONS = [2];
const KEYSPACE = "Golden/counters";
const FILE_NAME = "%47olden%2fcounters";

const golden = (version: number) =>
  new URL(`../../golden/keyspace-${version}.bin`, import.meta.url).pathname;

/** Three batches: many keys, counts of all widths, ties, zeros, and both limits. */
function goldenBatches(): Pair[][] {
  const batches: Pair[][] = [];
  for (let round = 1; round <= 3; round++) {
    const pairs: Pair[] = [];
    for (let index = 0; index < 120; index++) {
      const key = `key-${(index * 7919) % 1000}`;
      pairs.push([key, BigInt(index % 5) * 10n ** BigInt(index % 16)]);
    }
    pairs.push(["", 1n], ["x".repeat(256), -1n], ["zero", BigInt(2 - round)]);
    pairs.push(["top", 2n ** 62n], ["bottom", -(2n ** 62n)]);
    batches.push(pairs);
  }
  return batches;
}

function write(directory: string): string {
  using writer = KeyspaceWriter.open(systemStorage(), directory, nameBytes(KEYSPACE), {
    pageSize: 1024,
  });
  goldenBatches().forEach((pairs, index) => {
    const generation = BigInt(index + 1);
    writer.apply(Batch.of(pairs), new Map([[0, generation], [500 + index, generation * 10n]]));
    writer.syncPages();
    writer.publish();
    writer.syncMeta();
  });
  return writer.path;
}

for (const version of VERSIONS) {
  Deno.test(`A keyspace file of version ${version} is read, checked and written`, async () => {
    await withTemporaryDirectory((directory) => {
      if (Deno.env.get("COUNTD_TEST_GOLDEN") === "write" && version === VERSIONS.at(-1)) {
        Deno.copyFileSync(write(directory), golden(version));
        Deno.removeSync(`${directory}/${FILE_NAME}`);
      }
      const path = `${directory}/${FILE_NAME}`;
      Deno.copyFileSync(golden(version), path);
      const storage = systemStorage();
      assertEquals(check(storage, path), []);
      const toy = new ToyCounters();
      for (const pairs of goldenBatches()) toy.add(pairs);
      const texts = () => toy.ranking().map(({ key, count }) => `${key} ${count}`);

      using reader = KeyspaceReader.open(storage, path);
      assertEquals(new TextDecoder().decode(reader.name), KEYSPACE);
      assertEquals(reader.transaction, 3);
      assertEquals(reader.saturated, 3n);
      assertEquals(reader.sum, toy.ranking().reduce((sum, { count }) => sum + count, 0n));
      assertEquals([0, 500, 501, 502, 503].map((slot) => reader.applied(slot)), [
        3n,
        10n,
        20n,
        30n,
        0n,
      ]);
      assertEquals(rowTexts(reader.page(0, 1000).bytes), texts());

      using writer = KeyspaceWriter.open(storage, directory, nameBytes(KEYSPACE));
      const more: Pair[] = [["key-0", 17n], ["new", 3n]];
      writer.apply(Batch.of(more), new Map([[0, 4n]]));
      writer.publish();
      toy.add(more);
      assert(reader.refresh());
      assertEquals(rowTexts(reader.page(0, 1000).bytes), texts());
      assertEquals(check(storage, path), []);
    });
  });
}

Deno.test("A keyspace file of version 1 is refused in words that say how to move its counters", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/${FILE_NAME}`;
    const before = Deno.readFileSync(golden(1));
    Deno.writeFileSync(path, before);
    const storage = systemStorage();
    const calls = [
      () => KeyspaceReader.open(storage, path),
      () => KeyspaceWriter.open(storage, directory, nameBytes(KEYSPACE)),
      () => check(storage, path),
      () => rebuildKeyspace(storage, path, directory),
    ];
    for (const call of calls) {
      const { message } = assertThrows(call, OldFormatError);
      assert(
        message.startsWith(`Keyspace file ${path} has format 1, and this countd reads format 2`),
      );
      assert(message.includes("countd top NAME"), message);
    }
    assertEquals(Deno.readFileSync(path), before);
    assertEquals([...Deno.readDirSync(directory)].length, 1);
  });
});

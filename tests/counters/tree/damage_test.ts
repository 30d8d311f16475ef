/** Every byte of a small file is damaged in turn: no crash, no hang, no wrong answer. */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { CorruptError } from "../../../src/base/errors.ts";
import { OsError, systemStorage } from "../../../src/file/mod.ts";
import { firstPageOf, readMetaBlocks } from "../../../src/counters/tree/pages/meta.ts";
import { Batch, checkTreeFile, TreeReader, TreeWriter } from "../../../src/counters/tree/mod.ts";
import { ScratchPages } from "../../../src/counters/tree/pages/page_source.ts";
import { walkPages } from "../../../src/counters/tree/read/snapshot.ts";
import { overridden } from "../../support/overridden.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { TreeFixture } from "./open_tree.ts";
import { commit, decodeRows, type Pair, ToyCounters } from "./toy_counters.ts";

/** Files with pages of 1,024 bytes have small meta blocks. */
const BLOCK = 512;
const FIRST_PAGE = 2;

const everyByte = new FullCount("damaged bytes of a tree");
const absurdPages = new FullCount("absurd pages");

/** A file with branches in both orders, two commits old, with generations outside the meta block. */
function makeFile(directory: string): { fixture: TreeFixture; toy: ToyCounters } {
  const fixture = new TreeFixture(directory);
  const toy = new ToyCounters();
  for (let round = 0; round < 3; round++) {
    const pairs = Array.from({ length: 120 }, (_, key): Pair => [`key${key}`, BigInt(key * round)]);
    commit(fixture.writer, pairs, { generations: new Map([[460, BigInt(round + 1)]]) });
    toy.add(pairs);
  }
  return { fixture, toy };
}

Deno.test("No damaged byte of a file makes a reader give a wrong answer", async () => {
  await withTemporaryDirectory((directory) => {
    const { fixture, toy } = makeFile(directory);
    using _ = fixture;
    fixture.assertSound();
    const expected = toy.ranking();
    const good = Deno.readFileSync(fixture.path);
    using file = systemStorage().open(fixture.path, { access: "write" });
    let refused = 0;
    // A prime step reaches every field of every page in the normal form; the full count is all bytes.
    const offsets = Array.from(good, (_, at) => at);
    for (const at of everyByte.choices(offsets, (at) => at % 7 === 0)) {
      const spoilt = Uint8Array.of(good[at]! ^ (1 << (at % 8)));
      file.write(spoilt, at);
      try {
        const reader = new TreeReader(file, { cacheBytes: 0 });
        assertEquals(decodeRows(reader.page(0, 200).bytes), expected, `byte ${at}`);
        for (const { key, count } of expected.slice(at % 10, (at % 10) + 3)) {
          assertEquals(reader.get(new TextEncoder().encode(key)), count);
        }
        assertEquals(reader.applied(460), 3n);
      } catch (error) {
        assert(error instanceof CorruptError, `byte ${at}: ${error}`);
        assertEquals(error.where.path, fixture.path);
        const page = Math.floor(at / fixture.pageSize) * fixture.pageSize;
        assertEquals(error.where.offset, page, `byte ${at}: ${error.message}`);
        assert(checkTreeFile(systemStorage(), fixture.path).length > 0, `check sees byte ${at}`);
        refused++;
      }
      file.write(good.subarray(at, at + 1), at);
    }
    assert(everyByte.isShort || refused > 4 * 1024 / 7, `${refused} bytes were refused`);
    fixture.assertSound();
  });
});

Deno.test("A writer refuses a damaged page and leaves the file as it was", async () => {
  await withTemporaryDirectory((directory) => {
    const { fixture, toy } = makeFile(directory);
    using _ = fixture;
    const good = Deno.readFileSync(fixture.path);
    const changes = toy.ranking().map(({ key }): Pair => [key, 1n]);
    let refused = 0;
    for (let page = FIRST_PAGE; page * 1024 < good.length; page++) {
      const spoilt = good.slice();
      spoilt[page * 1024 + 200] = spoilt[page * 1024 + 200]! ^ 0x10;
      const path = `${directory}/spoilt`;
      Deno.writeFileSync(path, spoilt);
      using file = systemStorage().open(path, { access: "write" });
      try {
        const writer = TreeWriter.open(file);
        writer.apply(Batch.of(changes), new Map([[0, 1n]]), { pinned: false });
        writer.publish();
        assertEquals(checkTreeFile(systemStorage(), path), [], "an unused page");
      } catch (error) {
        assert(error instanceof CorruptError, String(error));
        assertEquals(error.where.offset, page * 1024);
        const after = Deno.readFileSync(path).subarray(0, FIRST_PAGE * 1024);
        assertEquals(after, good.subarray(0, FIRST_PAGE * 1024), "no meta block was written");
        refused++;
      }
    }
    assert(refused > 4, `${refused} pages were refused`);
    fixture.assertSound();
  });
});

Deno.test("A file that is truncated anywhere is refused", async () => {
  await withTemporaryDirectory((directory) => {
    const { fixture } = makeFile(directory);
    using _ = fixture;
    const good = Deno.readFileSync(fixture.path);
    const path = `${directory}/cut`;
    for (const length of [0, 1, 512, 2047, 2048, 3000, 8000]) {
      Deno.writeFileSync(path, good.subarray(0, length));
      using file = systemStorage().open(path, { access: "write" });
      assert(checkTreeFile(systemStorage(), path).length > 0, `cut at ${length}`);
      try {
        TreeWriter.open(file);
        throw new Error(`A writer took a file of ${length} bytes`);
      } catch (error) {
        assert(error instanceof CorruptError, String(error));
      }
    }
    fixture.assertSound();
  });
});

Deno.test("One damaged meta block never rolls the file back, because its copy is used", async () => {
  await withTemporaryDirectory((directory) => {
    const { fixture, toy } = makeFile(directory);
    using _ = fixture;
    const good = Deno.readFileSync(fixture.path);
    for (let block = 0; block < 4; block++) {
      const spoilt = good.slice();
      spoilt[block * BLOCK + 100] = 1;
      Deno.writeFileSync(`${directory}/spoilt`, spoilt);
      using file = systemStorage().open(`${directory}/spoilt`, { access: "read" });
      const reader = new TreeReader(file);
      assertEquals(reader.transaction, 3);
      assertEquals(decodeRows(reader.page(0, 200).bytes), toy.ranking());
      // A crash in step 5 leaves this too, so it is not a violation.
      assertEquals(checkTreeFile(systemStorage(), `${directory}/spoilt`), []);
    }
    fixture.assertSound();
  });
});

Deno.test("A torn write of both blocks leaves the transaction before it", async () => {
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const toy = new ToyCounters();
    const first: Pair[] = [["a", 5n], ["b", 7n]];
    commit(fixture.writer, first);
    toy.add(first);
    fixture.writer.apply(Batch.of([["a", 100n]]), new Map(), { pinned: false });
    using file = systemStorage().open(fixture.path, { access: "write" });
    const torn = new Uint8Array(BLOCK).fill(0xee, 0, 100);
    for (const block of [0, 2]) file.write(torn, block * BLOCK);
    const reader = new TreeReader(file);
    assertEquals(reader.transaction, 1);
    assertEquals(decodeRows(reader.page(0, 10).bytes), toy.ranking());
    fixture.assertSound();
    // The next writer continues from there.
    fixture.reopenWriter();
    for (let round = 0; round < 6; round++) {
      commit(fixture.writer, first);
      toy.add(first);
    }
    reader.refresh();
    assertEquals(decodeRows(reader.page(0, 10).bytes), toy.ranking());
    fixture.assertSound();
  });
});

Deno.test("A page with absurd content and a right checksum is refused, and no answer hangs", async () => {
  const random = new Random(seedForTest("Absurd content"));
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const pairs = Array.from({ length: 300 }, (_, key): Pair => [`key${key}`, BigInt(key + 1)]);
    commit(fixture.writer, pairs);
    fixture.assertSound();
    const good = Deno.readFileSync(fixture.path);
    using file = systemStorage().open(fixture.path, { access: "write" });
    let refused = 0;
    for (const _ of absurdPages.rounds(1000, 20_000)) {
      const start = 1024 * random.between(FIRST_PAGE, good.length / 1024 - 1);
      const page = good.slice(start, start + 1024);
      for (let bytes = random.between(1, 8); bytes > 0; bytes--) {
        page[random.between(16, random.pick([31, 80, 1023]))] = random.pick([
          0,
          1,
          255,
          random.below(256),
        ]);
      }
      new DataView(page.buffer).setUint32(0, crc32(page.subarray(4)), true);
      file.write(page, start);
      try {
        const reader = new TreeReader(file, { cacheBytes: 0 });
        reader.page(0, 1000);
        for (let probe = 0; probe < 5; probe++) {
          reader.rankOf(new TextEncoder().encode(`key${random.below(300)}`));
          reader.at(random.below(300));
        }
      } catch (error) {
        assert(error instanceof CorruptError, error instanceof Error ? error.stack : String(error));
        refused++;
      }
      checkTreeFile(systemStorage(), fixture.path);
      file.write(good.subarray(start, start + 1024), start);
    }
    assert(absurdPages.isShort || refused > 100, `${refused} were refused`);
    fixture.assertSound();
  });
});

Deno.test("An unreadable page that the newest snapshot does not use does not prevent a commit", async () => {
  // A writer walks the previous snapshot to find free pages, and reads leaves ahead. In neither case may a
  // bad sector under an unused page stop the keyspace.
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const toy = new ToyCounters();
    const add = (writer: TreeWriter, pairs: readonly Pair[]) => {
      commit(writer, pairs);
      toy.add(pairs);
    };
    // Adjacent leaves first, then holes between them.
    const every = Array.from({ length: 800 }, (_, key): Pair => [`key${key}`, BigInt(key)]);
    add(fixture.writer, every);
    for (let key = 0; key < 800; key += 300) add(fixture.writer, [[`key${key}`, 1n]]);
    using file = systemStorage().open(fixture.path, { access: "write" });
    const { newest } = readMetaBlocks(file);
    const live = new Set<number>();
    const source = new ScratchPages(file, fixture.pageSize);
    walkPages(newest, source, file.path, (number) => live.add(number) !== null);
    const last = newest.pageCount - 1;
    const refused = new Set<number>();
    const writer = TreeWriter.open(overridden(file, {
      read: (into, offset) => {
        const end = Math.min(last, (offset + into.length) / fixture.pageSize - 1);
        for (let number = offset / fixture.pageSize; number <= end; number++) {
          if (number < firstPageOf(newest) || live.has(number)) continue;
          refused.add(into.length);
          throw new OsError("read", file.path, "EIO");
        }
        return file.read(into, offset);
      },
    }));
    add(writer, every);
    assertEquals(refused.size, 2, "a page alone, and leaves ahead");
    assertEquals(decodeRows(fixture.openReader(0).page(0, 1000).bytes), toy.ranking());
    fixture.assertSound();
  });
});

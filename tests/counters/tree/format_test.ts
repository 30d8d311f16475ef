/** The meta block byte by byte; a file of another format is an error of its own, never damage. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { crc32 } from "node:zlib";
import { CorruptError } from "../../../src/base/errors.ts";
import { NewerFormatError, OldFormatError } from "../../../src/base/format.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import {
  checkTreeFile,
  salvageTree,
  TreeReader,
  TreeWriter,
} from "../../../src/counters/tree/mod.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { TreeFixture } from "./open_tree.ts";
import { commit } from "./toy_counters.ts";

const VERSION_OFFSET = 8;
const COMPAT_OFFSET = 16;
const INCOMPAT_OFFSET = 20;

/** Meta blocks of 512 bytes, or of 4,096. */
const PAGE_SIZES = [1024, 8192];

function sealMeta(block: Uint8Array): void {
  const checksum = crc32(block.subarray(16), crc32(block.subarray(0, 12)));
  new DataView(block.buffer, block.byteOffset).setUint32(12, checksum, true);
}

/** A file with two counters, and a function that stores a word in some of its meta blocks, with a right checksum. */
function forged(directory: string, pageSize: number) {
  const fixture = new TreeFixture(directory, { pageSize });
  commit(fixture.writer, [["a", 5n], ["b", -7n]], { generations: new Map([[2, 9n]]) });
  const blockBytes = pageSize === 1024 ? 512 : 4096;
  const good = Deno.readFileSync(fixture.path);
  const store = (offset: number, value: number, blocks: readonly number[]) => {
    const bytes = good.slice();
    for (const block of blocks) {
      const meta = bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
      new DataView(meta.buffer, meta.byteOffset).setUint32(offset, value, true);
      sealMeta(meta);
    }
    Deno.writeFileSync(fixture.path, bytes);
  };
  return { fixture, store, good, blockBytes };
}

for (const pageSize of PAGE_SIZES) {
  Deno.test(`A keyspace file of another format is never taken for damage, pages of ${pageSize} bytes`, async () => {
    await withTemporaryDirectory((directory) => {
      const { fixture, store } = forged(directory, pageSize);
      using _ = fixture;
      const reader = fixture.openReader();
      using file = systemStorage().open(fixture.path, { access: "write" });
      const refuses = (error: typeof NewerFormatError | typeof OldFormatError, words: string) => {
        const before = Deno.readFileSync(fixture.path);
        const calls = [
          () => new TreeReader(file),
          () => TreeWriter.open(file),
          () => checkTreeFile(fixture.storage, fixture.path),
          () => salvageTree(file),
          () => reader.refresh(),
        ];
        for (const call of calls) {
          const { message } = assertThrows(call, error);
          assert(message.includes(fixture.path) && message.includes(words), message);
        }
        assertEquals(Deno.readFileSync(fixture.path), before);
      };
      // A newer countd may have written only the blocks of the newest transaction, and one of them may be torn.
      for (const blocks of [[0, 1, 2, 3], [0, 2], [1, 3], [3]]) {
        store(VERSION_OFFSET, 3, blocks);
        refuses(
          NewerFormatError,
          "has format 3, and this countd reads format 2: use a newer countd",
        );
        store(INCOMPAT_OFFSET, 0x80000001, blocks);
        refuses(NewerFormatError, "has features that this countd does not know (0x80000001)");
        store(VERSION_OFFSET, 0, blocks);
        refuses(OldFormatError, "has format 0, and this countd reads format 2");
      }
    });
  });

  Deno.test(`A version with a wrong checksum is damage, pages of ${pageSize} bytes`, async () => {
    await withTemporaryDirectory((directory) => {
      const { fixture, good, blockBytes } = forged(directory, pageSize);
      using _ = fixture;
      const spoilt = good.slice();
      for (let block = 0; block < 4; block++) spoilt[block * blockBytes + VERSION_OFFSET] = 3;
      Deno.writeFileSync(fixture.path, spoilt);
      assertThrows(() => fixture.openReader(), CorruptError, "wrong checksum");
    });
  });

  Deno.test(`An unknown compat bit does no harm, and a commit keeps it, pages of ${pageSize} bytes`, async () => {
    await withTemporaryDirectory((directory) => {
      const { fixture, store, blockBytes } = forged(directory, pageSize);
      using _ = fixture;
      store(COMPAT_OFFSET, 0x100, [1, 3]);
      // Bytes that are zero without a feature: the incarnation, the reserved ones, and the last of the block.
      const extra = [44, 134, 150, blockBytes - 1];
      const bytes = Deno.readFileSync(fixture.path);
      for (const block of [1, 3]) {
        const meta = bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
        for (const offset of extra) meta[offset] = 7;
        sealMeta(meta);
      }
      Deno.writeFileSync(fixture.path, bytes);
      const writer = fixture.reopenWriter();
      commit(writer, [["a", 1n]], { generations: new Map([[3, 1n]]) });
      for (const at of [0, blockBytes]) {
        const found = Deno.readFileSync(fixture.path);
        assertEquals(extra.map((offset) => found[at + offset]), [7, 7, 7, 7]);
      }
      using copied = fixture.storage.open(`${directory}/copy`, {
        access: "write",
        create: "exclusive",
      });
      assertEquals([writer.copyInto(copied, 8192).applied(2), writer.applied(3)], [9n, 1n]);
      const copy = Deno.readFileSync(`${directory}/copy`);
      assertEquals([COMPAT_OFFSET + 1, 44, 150].map((offset) => copy[offset]), [1, 7, 7]);
      assertEquals(Deno.readFileSync(fixture.path)[COMPAT_OFFSET + 1], 1);
      assertEquals(Deno.readFileSync(fixture.path)[blockBytes + COMPAT_OFFSET + 1], 1);
      assertEquals(fixture.openReader().sum, -1n);
      fixture.assertSound();
    });
  });
}

Deno.test("The meta block of version 2 has every field in its place, and no other byte is set", async () => {
  await withTemporaryDirectory((directory) => {
    const { fixture, good } = forged(directory, 1024);
    using _ = fixture;
    const expected = new Uint8Array(512);
    const view = new DataView(expected.buffer);
    expected.set(new TextEncoder().encode("countdks"));
    view.setUint32(8, 2, true); // version
    view.setUint32(24, 512, true); // block size
    view.setUint32(28, 1024, true); // page size
    view.setUint32(32, 1, true); // transaction
    view.setUint32(48, 4, true); // page count
    view.setUint32(52, 3, true); // generation slots
    view.setBigInt64(64, -2n, true); // sum
    view.setBigInt64(72, -1n, true); // … its high half
    for (const [offset, page] of [[80, 2], [104, 3]] as const) {
      view.setUint32(offset, page, true); // root
      view.setUint32(offset + 8, 1, true); // its birth
      view.setUint32(offset + 16, 2, true); // its rows
    }
    view.setUint16(132, 3, true); // name length
    expected.set(new TextEncoder().encode("toy"), 160);
    view.setUint32(168 + 2 * 8, 9, true); // generation of slot 2
    sealMeta(expected);
    assertEquals(good.slice(512, 1024), expected);
    assertEquals(good.slice(1536, 2048), expected);
  });
});

Deno.test("A byte of the meta block that has to be zero is checked by every reader", async () => {
  await withTemporaryDirectory((directory) => {
    const { fixture, good } = forged(directory, 1024);
    using _ = fixture;
    // Incarnation, zeros, reserved bytes, padding of the name, and what follows the generations.
    for (const offset of [40, 47, 134, 135, 144, 159, 163, 167, 168 + 3 * 8, 511]) {
      const spoilt = good.slice();
      for (const start of [0, 512, 1024, 1536]) {
        spoilt[start + offset] = 1;
        sealMeta(spoilt.subarray(start, start + 512));
      }
      Deno.writeFileSync(fixture.path, spoilt);
      assertThrows(() => fixture.openReader(), CorruptError, "", `byte ${offset}`);
    }
  });
});

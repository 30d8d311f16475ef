/** The cost of an answer, in pages. */

import { assert, assertEquals } from "@std/assert";
import { Batch } from "../../../src/counters/tree/mod.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { TreeFixture } from "./open_tree.ts";
import { bytesOf, decodeRows } from "./toy_counters.ts";

const COUNTERS = 1_000_000;

Deno.test("Among a million counters a page at any offset reads only the pages it needs", async () => {
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory, { pageSize: 8192 });
    const words = new Int32Array(COUNTERS * 7);
    const bytes = new Uint8Array(words.buffer);
    const entries = new Uint32Array(COUNTERS);
    for (let index = 0; index < COUNTERS; index++) {
      const entry = index * 7;
      entries[index] = entry;
      words[entry] = 16;
      // Three counters share each count, so that ties are ordered by key.
      words[entry + 1] = Math.floor(index / 3);
      const digits = String(index).padStart(16, "0");
      for (let at = 0; at < 16; at++) bytes[entry * 4 + 12 + at] = digits.charCodeAt(at);
    }
    fixture.writer.apply(new Batch(words, entries, new Map()), new Map(), { pinned: false });
    fixture.writer.publish();

    const reader = fixture.openReader();
    assertEquals(reader.total, COUNTERS);
    const { rows, bytes: page } = reader.page(500_000, 100);
    assertEquals(rows, 100);
    decodeRows(page).forEach(({ key, count }, index) => {
      // Rank r from the top: the triples descend, the keys inside a triple ascend.
      const fromTop = 500_000 + index;
      const top = COUNTERS - 1 - (COUNTERS - 1) % 3;
      const expected = fromTop === 0 ? top : top - 3 * Math.ceil(fromTop / 3) + (fromTop - 1) % 3;
      assertEquals(Number(key), expected);
      assertEquals(count, BigInt(Math.floor(expected / 3)));
    });
    // Root, branch and leaf; a second path where the page crosses into the next leaf.
    assert(reader.pagesRead <= 5, `${reader.pagesRead} pages were read`);
    assert(reader.pagesTouched <= 6, `${reader.pagesTouched} pages were touched`);

    const readBefore = reader.pagesRead;
    const touchedBefore = reader.pagesTouched;
    assertEquals(reader.rankOf(bytesOf("0000000000000300")), 999_697);
    assert(reader.pagesTouched - touchedBefore <= 6, "a rank is two descents");
    assert(reader.pagesRead - readBefore <= 5, "and shares the root of the rank order");

    const bytesPerCounter = fixture.storage.status(fixture.path).allocatedBytes / COUNTERS;
    assert(bytesPerCounter <= 58, `${bytesPerCounter} bytes on disk for each counter`);
    fixture.assertSound();
  });
});

Deno.test("A batch of one key into a hundred thousand writes a path of pages, not the file", async () => {
  await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory, { pageSize: 4096 });
    const keys = Array.from({ length: 100_000 }, (_, key) => [`key${key}`, 5n] as const);
    fixture.writer.apply(Batch.of(keys), new Map(), { pinned: false });
    fixture.writer.publish();
    for (const increment of [1n, 100n, -100n]) {
      const batch = Batch.of([["key777", increment]]);
      const figures = fixture.writer.apply(batch, new Map(), { pinned: false });
      fixture.writer.publish();
      // In the rank order the counter leaves one leaf and arrives in another, which may split.
      assert(figures.pagesWritten <= 12, `${figures.pagesWritten} pages were written`);
      assert(figures.writes <= 4, `${figures.writes} writes`);
    }
    fixture.assertSound();
  });
});

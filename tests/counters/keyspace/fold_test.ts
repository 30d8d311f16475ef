/** The behaviour of folds. */

import { assert, assertEquals } from "@std/assert";
import {
  Batch,
  encodeKeyspaceName,
  type KeyspaceReader,
  KeyspaceWriter,
} from "../../../src/counters/keyspace/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { type Increment, KeyspaceFixture, nameBytes } from "./keyspace_fixture.ts";

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

/** A test with a directory of its own that ends with check. */
function test(name: string, body: (fixture: KeyspaceFixture) => void | Promise<void>): void {
  Deno.test(name, () =>
    withTemporaryDirectory(async (directory) => {
      const fixture = new KeyspaceFixture(directory);
      await body(fixture);
      fixture.assertSound();
    }));
}

test("A fold sorts by count, descending", (fixture) => {
  fixture.fold(["ks", "c", 1n], ["ks", "a", 10n], ["ks", "b", 5n]);
  assertEquals(fixture.rows("ks"), ["a 10", "b 5", "c 1"]);
});

test("An increment moves a counter past others", (fixture) => {
  fixture.fold(["ks", "a", 10n], ["ks", "b", 5n]);
  fixture.fold(["ks", "b", 10n]);
  assertEquals(fixture.rows("ks"), ["b 15", "a 10"]);
});

test("A decrement keeps one row for each key", (fixture) => {
  fixture.fold(["ks", "a", 10n], ["ks", "b", 5n], ["ks", "c", 1n]);
  fixture.fold(["ks", "a", -7n], ["ks", "b", -1n]);
  assertEquals(fixture.rows("ks"), ["b 4", "a 3", "c 1"]);
});

test("Equal counts have one row each, in key order, whatever the folds", (fixture) => {
  for (let round = 1; round <= 4; round++) {
    fixture.fold(["ks", "d", 1n], ["ks", "b", 1n], ["ks", "a", 1n], ["ks", "c", 1n]);
    assertEquals(fixture.rows("ks"), ["a", "b", "c", "d"].map((key) => `${key} ${round}`));
  }
});

test("An increment of zero makes no counter", (fixture) => {
  fixture.fold(["ks", "k", 0n]);
  assertEquals(fixture.rows("ks"), []);
  fixture.fold(["ks", "other", 1n], ["ks", "k", 0n]);
  assertEquals(fixture.rows("ks"), ["other 1"]);
});

test("A counter whose sum is zero stays, after one fold or two", (fixture) => {
  fixture.fold(["ks", "one", 5n], ["ks", "one", -5n], ["ks", "two", 5n]);
  fixture.fold(["ks", "two", -5n]);
  assertEquals(fixture.rows("ks"), ["one 0", "two 0"]);
});

test("A counter may be negative", (fixture) => {
  fixture.fold(["ks", "k", -3n], ["ks", "zero", 1n], ["ks", "zero", -1n]);
  assertEquals(fixture.rows("ks"), ["zero 0", "k -3"]);
});

test("Names that look like paths or logs are ordinary keyspaces", (fixture) => {
  const names = ["../esc", "..", ".", "/etc/x", "a/b", "0000000001", "lock-0000000009", "good"];
  fixture.fold(...names.map((name): Increment => [name, "k", 1n]));
  fixture.fold(...names.map((name): Increment => [name, "k", 1n]));
  for (const name of names) assertEquals(fixture.rows(name), ["k 2"], name);
  const entries = [...Deno.readDirSync(fixture.directory)];
  assertEquals(entries.length, names.length);
  assert(entries.every((entry) => entry.isFile));
});

test("Names of 256 bytes come back whole", (fixture) => {
  const keyspace = new Uint8Array(256).fill(0x6b);
  const key = new Uint8Array(256).map((_, index) => index === 0 ? 1 : index);
  fixture.fold([keyspace, key, 7n]);
  using reader = fixture.reader(keyspace);
  assertEquals(reader.name, keyspace);
  assertEquals(reader.at(0), { key, count: 7n });
  assertEquals(reader.get(key), 7n);
  assertEquals(reader.get(key.subarray(0, 255)), null);
});

test("Keys that differ only in their last byte, or in length, stay apart", (fixture) => {
  const long = "x".repeat(255);
  fixture.fold(["ks", long, 1n], ["ks", long + "y", 2n], ["ks", long + "z", 3n], ["ks", "", 4n]);
  assertEquals(fixture.rows("ks"), [" 4", `${long}z 3`, `${long}y 2`, `${long} 1`]);
});

test("A sum beyond int64 is clamped and counted, and other keys are not affected", (fixture) => {
  fixture.fold(["ks", "top", MAX], ["ks", "bottom", MIN]);
  fixture.fold(["ks", "top", 1n], ["ks", "bottom", -1n], ["ks", "other", 3n]);
  assertEquals(fixture.rows("ks"), [`top ${MAX}`, "other 3", `bottom ${MIN}`]);
  using reader = fixture.reader("ks");
  assertEquals(reader.saturated, 2n);
});

test("Within one fold sums are exact beyond int64, and only the result is clamped", (fixture) => {
  const far: Increment[] = [];
  for (let times = 0; times < 5; times++) far.push(["ks", "there and back", MAX]);
  for (let times = 0; times < 5; times++) far.push(["ks", "there and back", -MAX]);
  fixture.fold(...far, ["ks", "there and back", 42n], ["ks", "out", MAX], ["ks", "out", MAX]);
  assertEquals(fixture.rows("ks"), [`out ${MAX}`, "there and back 42"]);
  fixture.fold(["ks", "there and back", -50n], ["ks", "out", MIN]);
  fixture.fold(["ks", "there and back", MAX], ["ks", "there and back", 10n]);
  assertEquals(fixture.rows("ks"), [`there and back ${MAX}`, "out -1"].slice(0, 2));
  using reader = fixture.reader("ks");
  assertEquals(reader.saturated, 2n);
});

test("Counts above 2^53 are exact", (fixture) => {
  fixture.fold(["ks", "odd", 9007199254740993n], ["ks", "even", 9007199254740992n]);
  assertEquals(fixture.rows("ks"), ["odd 9007199254740993", "even 9007199254740992"]);
  fixture.fold(["ks", "even", 2n]);
  assertEquals(fixture.rows("ks"), ["even 9007199254740994", "odd 9007199254740993"]);
});

test("A page may be inside the range, extend past the end, or be behind it", (fixture) => {
  fixture.fold(...[1n, 2n, 3n, 4n, 5n].map((count): Increment => ["ks", `k${count}`, count]));
  assertEquals(fixture.rows("ks", 0, 3), ["k5 5", "k4 4", "k3 3"]);
  assertEquals(fixture.rows("ks", 3, 10), ["k2 2", "k1 1"]);
  assertEquals(fixture.rows("ks", 99, 10), []);
  using reader = fixture.reader("ks");
  assertEquals(reader.page(-1, 5).rows, 0);
  assertEquals(reader.page(2 ** 60, 5).rows, 0);
  assertEquals(reader.page(0, 0).rows, 0);
});

test("Reading a keyspace that does not exist makes nothing", (fixture) => {
  try {
    fixture.reader("missing").close();
    throw new Error("A missing keyspace was opened");
  } catch (error) {
    assertEquals((error as { code?: string }).code, "ENOENT");
  }
  assertEquals([...Deno.readDirSync(fixture.directory)], []);
});

test("Each page that is read during folds is sorted and has no key twice", (fixture) => {
  const random = new Random(seedForTest("pages during folds"));
  const keys = Array.from({ length: 500 }, (_, key) => `key${key}`);
  fixture.fold(...keys.map((key): Increment => ["ks", key, 1000n]));
  using reader = fixture.reader("ks");
  using writer = KeyspaceWriter.open(fixture.storage, fixture.directory, nameBytes("ks"));
  for (let round = 0; round < 100; round++) {
    const moves = keys.map((key) => [key, BigInt(random.between(-50, 50))] as const);
    writer.apply(Batch.of(moves), new Map());
    const offset = random.below(500);
    checkPage(reader, offset);
    writer.publish();
    checkPage(reader, offset);
    reader.refresh();
    checkPage(reader, offset);
  }
});

function checkPage(reader: KeyspaceReader, offset: number): void {
  const { bytes } = reader.page(offset, 100);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keys = new Set<string>();
  let last: { count: bigint; key: string } | null = null;
  for (let at = 0; at < bytes.length;) {
    const end = at + 10 + view.getUint16(at + 8, true);
    const row = {
      count: view.getBigInt64(at, true),
      key: new TextDecoder().decode(bytes.subarray(at + 10, end)),
    };
    if (last !== null) {
      assert(last.count > row.count || (last.count === row.count && last.key < row.key));
    }
    assert(!keys.has(row.key), "no key twice");
    keys.add(row.key);
    last = row;
    at = end;
  }
}

const shuffledParts = new FullCount("shuffled parts");

test("Shuffled parts of known sums add up, whatever the folds", (fixture) => {
  const random = new Random(seedForTest("shuffled parts"));
  for (const keys of shuffledParts.sizes(200, 1000)) {
    addShuffledParts(fixture, random, keys);
  }
});

/** Adds parts of 1 … `keys` − 1 under these keys, to ten keyspaces that no other size has. */
function addShuffledParts(fixture: KeyspaceFixture, random: Random, keys: number): void {
  const keyspaces = 10;
  const parts: Increment[] = [];
  for (let keyspace = 0; keyspace < keyspaces; keyspace++) {
    for (let key = 1; key < keys; key++) {
      let rest = key;
      while (rest > 0) {
        const part = random.between(1, rest);
        rest -= part;
        parts.push([`keyspace ${keys} ${keyspace}`, String(key), BigInt(part)]);
      }
    }
  }
  random.shuffle(parts);
  for (let from = 0; from < parts.length;) {
    const to = from + random.between(1, Math.ceil(parts.length / 5));
    fixture.fold(...parts.slice(from, to));
    from = to;
  }
  const expected = Array.from({ length: keys - 1 }, (_, index) => keys - 1 - index);
  for (let keyspace = 0; keyspace < keyspaces; keyspace++) {
    const rows = fixture.rows(`keyspace ${keys} ${keyspace}`);
    assertEquals(rows, expected.map((key) => `${key} ${key}`));
  }
}

test("A new keyspace has its name in the directory only when it is published", (fixture) => {
  const { storage, directory } = fixture;
  const path = `${directory}/${encodeKeyspaceName(nameBytes("new"))}`;
  {
    using writer = KeyspaceWriter.open(storage, directory, nameBytes("new"));
    writer.apply(Batch.of([["a", 1n]]), new Map([[0, 1n]]));
    writer.syncPages();
    assertEquals(storage.statusOrNull(path), null);
  }
  assertEquals(storage.readDirectory(directory), [], "what was not published is gone");
  using writer = KeyspaceWriter.open(storage, directory, nameBytes("new"));
  assert(writer.isUnnamed);
  writer.apply(Batch.of([["a", 1n]]), new Map([[0, 1n]]));
  writer.syncPages();
  writer.publish();
  writer.syncMeta();
  assert(!writer.isUnnamed);
  assertEquals(storage.status(path).mode, 0o600);
  writer.apply(Batch.of([["a", 1n]]), new Map([[0, 2n]]));
  writer.publish();
  assertEquals(fixture.rows("new"), ["a 2"]);
  assertEquals(writer.applied(0), 2n);
  using reader = fixture.reader("new");
  assertEquals(reader.applied(0), 2n);
  assertEquals(reader.applied(1), 0n);
});

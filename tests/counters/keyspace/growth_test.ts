/** A keyspace is small while it has few counters, and moves into larger pages when it outgrows them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptError } from "../../../src/base/errors.ts";
import { OsError, type Storage, systemStorage } from "../../../src/file/mod.ts";
import {
  Batch,
  check,
  KeyspaceReader,
  KeyspaceWriter,
} from "../../../src/counters/keyspace/mod.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { assertSameCounters, type Pair, ToyCounters } from "../tree/toy_counters.ts";
import { nameBytes } from "./keyspace_fixture.ts";

const SMALL = 1024;
const LARGE = 8192;

/** One keyspace, folded without the worker; each fold is a new use of one more slot. */
class OneKeyspace implements Disposable {
  readonly toy = new ToyCounters();
  writer: KeyspaceWriter;
  #folds = 0;

  constructor(readonly directory: string, readonly storage: Storage = systemStorage()) {
    this.writer = this.#open();
  }

  get path(): string {
    return `${this.directory}/ks`;
  }

  #open(): KeyspaceWriter {
    return KeyspaceWriter.open(this.storage, this.directory, nameBytes("ks"));
  }

  reopen(): void {
    this.writer.close();
    this.writer = this.#open();
  }

  apply(pairs: readonly Pair[], pinned = false): void {
    const generations = new Map([[this.#folds % 60, BigInt(this.#folds + 1)]]);
    this.writer.apply(Batch.of(pairs), generations, { pinned });
  }

  publish(pairs: readonly Pair[]): void {
    assert(this.writer.isInPlace());
    this.writer.syncPages();
    this.writer.publish();
    this.writer.syncMeta();
    this.toy.add(pairs);
    this.#folds++;
  }

  fold(pairs: readonly Pair[], pinned = false): void {
    this.apply(pairs, pinned);
    this.publish(pairs);
  }

  /** Compares the file with the toy, and checks it. Returns the size of its pages. */
  assertSame(random: Random): number {
    using reader = KeyspaceReader.open(this.storage, this.path);
    assertSameCounters(reader, this.toy, { random, probes: 20 });
    assertEquals(reader.transaction, this.#folds);
    assertEquals(reader.sum, [...this.toy.counts.values()].reduce((sum, each) => sum + each, 0n));
    const slots = Math.min(60, this.#folds);
    for (let slot = 0; slot < slots; slot++) {
      const last = slot + 60 * Math.floor((this.#folds - 1 - slot) / 60);
      assertEquals(reader.applied(slot), BigInt(last + 1));
    }
    assertEquals(check(this.storage, this.path), []);
    assertEquals(this.names(), ["ks"]);
    return reader.pageSize;
  }

  names(): string[] {
    return this.storage.readDirectory(this.directory).sort();
  }

  [Symbol.dispose](): void {
    this.writer.close();
  }
}

/** A test of one keyspace in a directory of its own. */
function test(name: string, body: (one: OneKeyspace, random: Random) => void): void {
  Deno.test(name, () =>
    withTemporaryDirectory((directory) => {
      using one = new OneKeyspace(directory);
      body(one, new Random(seedForTest(name)));
    }));
}

/** Different keys of 16 bytes. */
function pairsOf(from: number, to: number): Pair[] {
  return Array.from({ length: to - from }, (_, at): Pair => {
    return [`key-${from + at}`.padEnd(16, "x"), BigInt((from + at) % 7) - 2n];
  });
}

test(
  "The file of a keyspace of one counter fits 8 KiB, in length and on disk, after any number of folds",
  (one, random) => {
    for (let round = 0; round < 30; round++) {
      one.fold([["the only counter", BigInt(round - 3)]]);
      if (round % 5 === 0) one.reopen();
      const { size, blocks } = Deno.statSync(one.path);
      assert(size <= 8192, `${size} bytes after fold ${round}`);
      assert(blocks! * 512 <= 8192, `${blocks! * 512} bytes on disk after fold ${round}`);
    }
    assertEquals(one.assertSame(random), SMALL);
  },
);

test(
  "A keyspace that grows little by little moves into larger pages once, with everything that it has",
  (one, random) => {
    one.fold([["zero", 5n], ["top", 2n ** 63n - 1n], ["bottom", -(2n ** 63n)], ["", 1n]]);
    one.fold([["zero", -5n], ["top", 9n], ["bottom", -1n]]);
    const sizes: number[] = [];
    let from = 0;
    while (from < 1000) {
      const to = from + random.between(1, 40);
      one.fold([...pairsOf(from, to), ...pairsOf(0, random.below(from + 1))], random.chance(0.2));
      if (random.chance(0.3)) one.reopen();
      from = to;
      sizes.push(one.assertSame(random));
    }
    const grown = sizes.indexOf(LARGE);
    assert(grown > 5 && grown < sizes.length - 5, `${sizes}`);
    assert(sizes.every((size, index) => size === (index < grown ? SMALL : LARGE)), `${sizes}`);
    assertEquals(one.writer.saturated, 2n);
  },
);

test("A new keyspace with a large first batch has large pages at once", (one, random) => {
  one.fold(pairsOf(0, 5000));
  assertEquals(one.assertSame(random), LARGE);
});

test("A small file stays below 80 KiB, whatever is folded into it", (one, random) => {
  let largest = 0;
  let round = 0;
  while (true) {
    one.fold(pairsOf(0, Math.min(300, 1 + 3 * round++)));
    if (one.assertSame(random) === LARGE || round === 200) break;
    largest = Math.max(largest, Deno.statSync(one.path).size);
  }
  assert(largest > 40 * 1024 && largest <= 80 * 1024, `${largest} bytes`);
});

test(
  "A reader of the small file keeps its snapshot, and the name leads to the large one",
  (one, random) => {
    one.fold(pairsOf(0, 50));
    using reader = KeyspaceReader.open(one.storage, one.path);
    const before = reader.page(0, 1000).bytes;
    one.fold(pairsOf(0, 2000));
    one.fold(pairsOf(0, 10));
    assertEquals(reader.refresh(), false);
    assertEquals(reader.page(0, 1000).bytes, before);
    assertEquals(one.assertSame(random), LARGE);
  },
);

test(
  "A growing fold that is rolled back leaves the small file, and the next one counts once",
  (one, random) => {
    one.fold(pairsOf(0, 50));
    const before = Deno.readFileSync(one.path);
    one.apply(pairsOf(0, 2000));
    assert(one.writer.isUnnamed);
    assertEquals(one.names(), [".new-ks", "ks"]);
    one.writer.rollBack();
    assert(!one.writer.isUnnamed);
    assertEquals(one.names(), ["ks"]);
    assertEquals(Deno.readFileSync(one.path), before);
    one.apply(pairsOf(0, 2000));
    one.writer.close();
    assertEquals(one.names(), ["ks"]);
    one.reopen();
    one.fold(pairsOf(0, 2000));
    assertEquals(one.assertSame(random), LARGE);
  },
);

test("A writer is not in place if the file that it grows into, or the small one, has lost its name", (one) => {
  one.fold(pairsOf(0, 50));
  one.apply(pairsOf(0, 2000));
  assert(one.writer.isInPlace());
  for (const name of [".new-ks", "ks"]) {
    Deno.renameSync(`${one.directory}/${name}`, `${one.directory}/away`);
    assert(!one.writer.isInPlace(), name);
    Deno.renameSync(`${one.directory}/away`, `${one.directory}/${name}`);
  }
  assert(one.writer.isInPlace());
});

test(
  "What a killed process left under the temporary name does not hinder a keyspace from growing",
  (one, random) => {
    one.fold(pairsOf(0, 50));
    Deno.writeTextFileSync(`${one.directory}/.new-ks`, "left");
    one.fold(pairsOf(0, 2000));
    assertEquals(one.assertSame(random), LARGE);
  },
);

test("A damaged page of the small file stops its growth, and the file stays as it is", (one) => {
  one.fold(pairsOf(0, 100));
  const spoilt = Deno.readFileSync(one.path);
  for (let at = 2048 + 300; at < spoilt.length; at += 1024) spoilt[at]! ^= 1;
  Deno.writeFileSync(one.path, spoilt);
  one.reopen();
  assertThrows(() => one.apply(pairsOf(0, 2000)), CorruptError, "Damaged page");
  assertEquals(one.names(), ["ks"]);
  assertEquals(Deno.readFileSync(one.path), spoilt);
});

// Story: growth made its file with mode 0600. A keyspace that its operator had made readable for a group was
// not readable after the fold that let it grow.
test("A keyspace that grows keeps its mode", (one, random) => {
  one.fold(pairsOf(0, 50));
  Deno.chmodSync(one.path, 0o640);
  one.fold(pairsOf(0, 2000));
  assertEquals(one.assertSame(random), LARGE);
  assertEquals(Deno.statSync(one.path).mode! & 0o777, 0o640);
});

// Story: growth renamed its file over a symbolic link. The counters then went on in `keyspaces`, and the file
// on the other disk, where the operator had put the keyspace, stayed behind with the older counts.
test(
  "A keyspace that a symbolic link leads to does not grow, and stays where it is",
  (one, random) => {
    one.fold(pairsOf(0, 50));
    const away = Deno.makeTempDirSync({ prefix: "countd-test-" });
    try {
      const target = `${away}/ks`;
      Deno.renameSync(one.path, target);
      Deno.symlinkSync(target, one.path);
      for (const to of [2000, 2000, 5000]) one.fold(pairsOf(0, to));
      assert(Deno.lstatSync(one.path).isSymlink);
      assertEquals(one.assertSame(random), SMALL);
      one.reopen();
      one.fold(pairsOf(0, 5000));
      assertEquals(one.assertSame(random), SMALL);
      assertEquals(Deno.readDirSync(away).toArray().map(({ name }) => name), ["ks"]);
    } finally {
      Deno.removeSync(away, { recursive: true });
    }
  },
);

for (const kind of ["open", "allocate", "write"] as const) {
  for (const isNew of [true, false]) {
    const what = isNew ? "a new keyspace" : "a small keyspace";
    Deno.test(`When ${kind} fails while ${what} grows, the next try counts once`, async () => {
      const random = new Random(seedForTest(`${kind} ${isNew}`));
      await withTemporaryDirectory((directory) => {
        const faults = new Faults();
        using one = new OneKeyspace(directory, faultyStorage(systemStorage(), faults));
        if (!isNew) one.fold(pairsOf(0, 50));
        for (let nth = 1;; nth++) {
          const failed = faults.failed;
          faults.failAt(kind, nth, "ENOSPC");
          try {
            one.apply(pairsOf(0, 2000));
            faults.heal();
            if (faults.failed === failed) break;
          } catch (error) {
            assert(error instanceof OsError && error.code === "ENOSPC", String(error));
          }
          faults.heal();
          one.reopen();
          assertEquals(one.names(), isNew ? [".new-ks"] : ["ks"]);
        }
        one.publish(pairsOf(0, 2000));
        assertEquals(one.assertSame(random), LARGE);
      });
    });
  }
}

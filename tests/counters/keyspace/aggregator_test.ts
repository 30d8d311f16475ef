/** Sums of random record batches, compared with a map of bigints. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Aggregator, DEFAULT_AGGREGATOR_LIMITS } from "../../../src/counters/keyspace/mod.ts";
import { BadRecordError, encodeCounter, encodeDefinition } from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { type Increment, recordBatch } from "./keyspace_fixture.ts";

const sumsOfMap = new FullCount("sums of a map");

function assertSums(aggregator: Aggregator, expected: Map<string, Map<string, bigint>>): void {
  let distinct = 0;
  const { distinctKeys } = aggregator;
  const batches = new Map(
    [...aggregator.takeBatches()].map(({ keyspace, batch }) => [String(keyspace), batch]),
  );
  for (const [keyspace, sums] of expected) {
    const batch = batches.get(keyspace);
    assertEquals(batch?.length ?? 0, sums.size);
    distinct += sums.size;
    for (let index = 0; index < sums.size; index++) {
      const key = batch!.key(index);
      assertEquals(batch!.sum(index), sums.get(String(key)));
      if (index === 0) continue;
      const view = new DataView(key.buffer);
      assert(batch!.compareKey(index - 1, view, 0, key.length) < 0, "keys ascend");
    }
  }
  assertEquals(distinctKeys, distinct);
}

Deno.test("Sums are those of a map, for keys of all lengths and increments of all sizes", () => {
  const random = new Random(seedForTest("Sums are those of a map"));
  const aggregator = new Aggregator();
  for (const _ of sumsOfMap.rounds(20, 200)) {
    const expected = new Map<string, Map<string, bigint>>();
    let records = 0;
    const keyspaces = random.between(1, 5);
    const keys = random.pick([5, 200, 20_000]);
    const common = "c".repeat(random.below(200));
    for (let batch = 0; batch < 6; batch++) {
      const increments: Increment[] = [];
      for (let count = random.below(sumsOfMap.isLong ? 20_000 : 4000); count > 0; count--) {
        const digits = String(random.below(keys));
        const key = random.chance(0.5) ? common + digits : digits.repeat(random.below(4));
        const increment = random.chance(0.2) ? random.bigInt64() : BigInt(random.between(-3, 3));
        increments.push([`ks${random.below(keyspaces)}`, key, increment]);
      }
      const bytes = recordBatch(increments);
      // At any offset in memory, aligned or not.
      const start = random.below(9);
      const held = new Uint8Array(start + bytes.length + 3);
      held.set(bytes, start);
      aggregator.add(held, start, start + bytes.length, (name) => name[2] !== 0x33);
      for (const [keyspace, key, increment] of increments) {
        if (keyspace === "ks3") continue;
        records++;
        if (increment === 0n) continue;
        const name = String(new TextEncoder().encode(keyspace as string));
        const keyText = String(new TextEncoder().encode(key as string));
        const sums = expected.get(name) ?? new Map<string, bigint>();
        expected.set(name, sums.set(keyText, (sums.get(keyText) ?? 0n) + increment));
      }
    }
    assertEquals(aggregator.records, records);
    assertSums(aggregator, expected);
    assertEquals([...aggregator.takeBatches()], [], "they are forgotten");
    assertEquals([aggregator.distinctKeys, aggregator.records], [0, 0]);
  }
});

Deno.test("Sums that leave int64 again and again stay exact", () => {
  const random = new Random(seedForTest("Sums that leave int64"));
  const aggregator = new Aggregator();
  const expected = new Map<string, bigint>();
  for (let round = 0; round < 50; round++) {
    const increments: Increment[] = Array.from({ length: 100 }, () => {
      const increment = random.pick([2n ** 63n - 1n, -(2n ** 63n), random.bigInt64()]);
      return ["ks", `k${random.below(5)}`, increment];
    });
    for (const [, key, increment] of increments) {
      const text = String(new TextEncoder().encode(key as string));
      expected.set(text, (expected.get(text) ?? 0n) + increment);
    }
    const bytes = recordBatch(increments);
    aggregator.add(bytes, 0, bytes.length, () => true);
  }
  const name = String(new TextEncoder().encode("ks"));
  assertSums(aggregator, new Map([[name, expected]]));
  const beyond = [...expected.values()].filter((sum) => BigInt.asIntN(64, sum) !== sum);
  assert(beyond.length > 0, "some sums lie beyond int64");
});

Deno.test("An aggregator is full by keyspaces too, and gives back the batches of all of them", () => {
  const aggregator = new Aggregator({ ...DEFAULT_AGGREGATOR_LIMITS, keyspacesMax: 100 });
  const expected = new Map<string, Map<string, bigint>>();
  for (let number = 0; number < 300; number++) {
    assertEquals(aggregator.isFull, number >= 100);
    const name = `ks${number}`;
    const bytes = recordBatch([[name, "key", BigInt(number) + 1n]]);
    aggregator.add(bytes, 0, bytes.length, () => true);
    const sums = new Map([[String(new TextEncoder().encode("key")), BigInt(number) + 1n]]);
    expected.set(String(new TextEncoder().encode(name)), sums);
  }
  assertSums(aggregator, expected);
  assert(!aggregator.isFull, "they are forgotten");
});

Deno.test("An aggregator is full by keys or by bytes, and still takes more", () => {
  const byKeys = new Aggregator({ ...DEFAULT_AGGREGATOR_LIMITS, keysMax: 100 });
  const byBytes = new Aggregator({ ...DEFAULT_AGGREGATOR_LIMITS, arenaBytesMax: 4000 });
  for (let key = 0; key < 300; key++) {
    const bytes = recordBatch([["ks", `key${key}`, 1n]]);
    assertEquals(byKeys.isFull, key >= 100);
    for (const aggregator of [byKeys, byBytes]) {
      aggregator.add(bytes, 0, bytes.length, () => true);
    }
  }
  assert(byBytes.isFull);
  assertEquals(byBytes.distinctKeys, 300);
  assertEquals([...byBytes.takeBatches()][0]!.batch.length, 300);
  byBytes.clear();
  assert(!byBytes.isFull);
});

Deno.test("Bytes that are not a record batch are refused, wherever they are truncated or damaged", () => {
  const bytes = recordBatch([["ks", "key one", 1n], ["other", "", 2n], ["ks", "key two", 3n]]);
  for (let length = 1; length < bytes.length; length++) {
    const aggregator = new Aggregator();
    const isWhole = [24, 48, 72, 88].includes(length);
    const add = () => aggregator.add(bytes, 0, length, () => true);
    if (isWhole) add();
    else assertThrows(add, BadRecordError, undefined, `cut at ${length}`);
  }
  const spoil = (change: (bytes: Uint8Array) => void) => {
    const spoilt = bytes.slice();
    change(spoilt);
    assertThrows(() => new Aggregator().add(spoilt, 0, spoilt.length, () => true), BadRecordError);
  };
  spoil((spoilt) => spoilt[0] = 0);
  spoil((spoilt) => spoilt[0] = 7);
  spoil((spoilt) => spoilt[4] = 1);
  spoil((spoilt) => spoilt[2] = 0);
  spoil((spoilt) => spoilt[24 + 4] = 9);
  spoil((spoilt) => spoilt[24 + 3] = 255);
});

Deno.test("`accepts` is called once for each keyspace that a batch defines", () => {
  const aggregator = new Aggregator();
  const asked: string[] = [];
  const bytes = new Uint8Array(4096);
  let at = encodeDefinition(bytes, 0, { number: 0, name: new TextEncoder().encode("old") });
  at = encodeDefinition(bytes, at, { number: 1, name: new TextEncoder().encode("new") });
  for (const keyspace of [0, 1, 0, 1, 1]) {
    const key = new TextEncoder().encode("k");
    at = encodeCounter(bytes, at, { keyspace, key, increment: 1n });
  }
  for (let round = 0; round < 2; round++) {
    aggregator.add(bytes, 0, at, (name) => {
      asked.push(new TextDecoder().decode(name));
      return asked.at(-1) === "new";
    });
  }
  assertEquals(asked, ["old", "new", "old", "new"]);
  assertEquals(aggregator.records, 6);
  assertEquals([...aggregator.takeBatches()].map(({ batch }) => batch.sum(0)), [6n]);
});

/**
 * A table takes other secrets if keys collide more than by chance. The keys are chosen with the table's own
 * secrets, which a peer cannot know: here the source of random numbers is known in the beginning.
 */

import { assertEquals } from "@std/assert";
import { KeyedHash, PROBES_MAX } from "../../../src/base/keyed_hash.ts";
import { Aggregator } from "../../../src/counters/keyspace/mod.ts";
import { KeySums } from "../../../src/counters/view/ranking/key_sums.ts";
import { BatchKeyspaces } from "../../../src/counters/wire/mod.ts";
import { recordBatch } from "../keyspace/keyspace_fixture.ts";
import { Random, seedForTest } from "../../support/random.ts";

/** Enough keys of one slot for long probes in a table of 4,096 slots that is at most half full. */
const KEYS = 1500;
const SLOT_MASK = 4095;
const KEY_WORDS = 4;

/** Counts how often secrets are drawn, and gives the same ones while `isKnown`. */
class KnownSecrets implements Disposable {
  readonly #original = crypto.getRandomValues;
  isKnown = true;
  draws = 0;

  constructor(seed: number) {
    crypto.getRandomValues = <T extends ArrayBufferView | null>(into: T): T => {
      this.draws++;
      if (!this.isKnown) return this.#original.call(crypto, into as never) as T;
      const random = new Random(seed);
      (into as unknown as Int32Array).forEach((_, index, words) => words[index] = random.next32());
      return into;
    };
  }

  [Symbol.dispose](): void {
    crypto.getRandomValues = this.#original;
  }
}

/** Keys of one slot under the secrets of `hash`, one after the other, none with a NUL. */
function meetingKeys(hash: KeyedHash, random: Random): Int32Array {
  const keys = new Int32Array(KEYS * KEY_WORDS);
  for (let count = 0; count < KEYS;) {
    const at = count * KEY_WORDS;
    for (let word = 0; word < KEY_WORDS; word++) keys[at + word] = random.next32() | 0x01010101;
    if ((hash.of(keys, at, at + KEY_WORDS, KEY_WORDS * 4) & SLOT_MASK) === 0) count++;
  }
  return keys;
}

/** Adds keys that collide to a new table, in two parts; the second must make it draw new secrets. */
function assertTakesNewSecrets<Table>(
  make: () => Table,
  use: (table: Table, keys: Int32Array, from: number, to: number) => void,
): Table {
  const seed = seedForTest("long probes");
  using secrets = new KnownSecrets(seed);
  const table = make();
  const keys = meetingKeys(new KeyedHash(), new Random(seed + 1));
  secrets.isKnown = false;
  secrets.draws = 0;
  use(table, keys, 0, PROBES_MAX);
  assertEquals(secrets.draws, 0, "a thousand keys of one slot may be chance");
  use(table, keys, PROBES_MAX, KEYS);
  assertEquals(secrets.draws, 1, "and more are not");
  return table;
}

Deno.test("Sums of a log take new secrets when keys collide, and keep every sum", () => {
  assertTakesNewSecrets(() => new KeySums(), (sums, keys, from, to) => {
    for (let key = from; key < to; key++) sums.add(keys, key * KEY_WORDS, 16, 0, 0, key);
    for (let key = 0; key < to; key++) {
      assertEquals(sums.find(keys, key * KEY_WORDS, 16), key);
      assertEquals(sums.low[key], key);
    }
  });
});

Deno.test("Keyspaces of a batch take new secrets when names collide, and keep their numbers", () => {
  assertTakesNewSecrets(() => new BatchKeyspaces(), (names, keys, from, to) => {
    for (let key = from; key < to; key++) {
      assertEquals(names.find(keys, key * KEY_WORDS, 16), -1);
      assertEquals(names.add(keys, key * KEY_WORDS, 16), key);
    }
    for (let key = 0; key < to; key++) assertEquals(names.find(keys, key * KEY_WORDS, 16), key);
  });
});

Deno.test("Sums of a fold take new secrets when keys collide, and keep every sum", () => {
  const bytesOf = (keys: Int32Array, key: number) =>
    new Uint8Array(keys.buffer, key * KEY_WORDS * 4, KEY_WORDS * 4);
  let all: Int32Array = new Int32Array();
  const aggregator = assertTakesNewSecrets(() => new Aggregator(), (table, keys, from, to) => {
    all = keys;
    const numbers = Array.from({ length: to - from }, (_, index) => from + index);
    const batch = recordBatch(numbers.map((key) => ["ks", bytesOf(keys, key), BigInt(key + 1)]));
    for (let twice = 0; twice < 2; twice++) table.add(batch, 0, batch.length, () => true);
  });
  assertEquals(aggregator.distinctKeys, KEYS);
  const batch = [...aggregator.takeBatches()][0]!.batch;
  const sums = new Map(
    Array.from(
      { length: batch.length },
      (_, index) => [String(batch.key(index)), batch.sum(index)],
    ),
  );
  for (let key = 0; key < KEYS; key++) {
    assertEquals(sums.get(String(bytesOf(all, key))), BigInt(2 * key + 2));
  }
});

/**
 * Names of one pattern have about as many hashes as random names, and no long probes in a table. The tests
 * count hashes and slots, never time.
 */

import { assert, assertEquals } from "@std/assert";
import { KeyedHash } from "../../src/base/keyed_hash.ts";
import {
  COLLIDING_NAME_BYTES,
  COLLIDING_NAMES,
  collidingName,
} from "../support/colliding_names.ts";
import { Random, seedForTest } from "../support/random.ts";

const NAME_WORDS = COLLIDING_NAME_BYTES / 4;

/** The longest way from a name's own slot to a free one, in a table that is half full. */
function longestProbe(hashes: Int32Array): number {
  const mask = 2 ** Math.ceil(Math.log2(hashes.length) + 1) - 1;
  const taken = new Uint8Array(mask + 1);
  let longest = 0;
  for (const hash of hashes) {
    let slot = hash & mask;
    while (taken[slot] === 1) slot = (slot + 1) & mask;
    taken[slot] = 1;
    longest = Math.max(longest, (slot - hash) & mask);
  }
  return longest;
}

/** Hashes of names that `change` makes, each from the same words. */
function hashesOf(
  count: number,
  words: number,
  change: (name: Int32Array, index: number) => void,
): Int32Array {
  const hash = new KeyedHash();
  const name = new Int32Array(words);
  return Int32Array.from({ length: count }, (_, index) => {
    name.fill(0x61616161);
    change(name, index);
    return hash.of(name, 0, words, words * 4);
  });
}

/** A table takes new secrets after bad luck, which may be with one choice of secrets in some thousands. */
function assertSpread(hashes: () => Int32Array, what: string): void {
  try {
    assertSpreadNow(hashes(), what);
  } catch {
    assertSpreadNow(hashes(), `${what}, with new secrets`);
  }
}

function assertSpreadNow(hashes: Int32Array, what: string): void {
  // 131,072 random hashes of 32 bits have two pairs in common.
  const distinct = new Set(hashes).size;
  assert(distinct >= hashes.length * 0.999 - 1, `${what}: ${distinct} hashes of ${hashes.length}`);
  // By chance about 60.
  const longest = longestProbe(hashes);
  assert(longest < 400, `${what}: a probe of ${longest}`);
}

Deno.test("Names that collided under every seed of a linear hash have hashes like random ones", () => {
  const hashes = () =>
    hashesOf(COLLIDING_NAMES, NAME_WORDS, (name, index) => {
      name.set(new Int32Array(collidingName(index).buffer));
    });
  assertSpread(hashes, "bit 31, and bits 31 and 16 of the next word");
});

Deno.test("Names that differ by patterns in neighbouring words have hashes like random ones", () => {
  const random = new Random(seedForTest("patterns in neighbouring words"));
  const patterns: [number, number][] = [[1 << 31, 0], [1 << 31, 1 << 31], [1 << 15, 0], [1, 1]];
  for (let count = 0; count < 40; count++) {
    const bit = () => 1 << random.below(32);
    patterns.push([bit(), bit()], [bit(), bit() | bit()], [bit(), 0], [random.next32(), bit()]);
  }
  for (const [one, next] of patterns) {
    const hashes = () =>
      hashesOf(2 ** 14, 28, (name, index) => {
        for (let pair = 0; pair < 14; pair++) {
          if (((index >>> pair) & 1) === 0) continue;
          name[2 * pair]! ^= one;
          name[2 * pair + 1]! ^= next;
        }
      });
    assertSpread(hashes, `${one >>> 0} and ${next >>> 0}`);
  }
});

Deno.test("Names that differ by one or two bits of two words have hashes of their own", () => {
  const bits = (name: Int32Array, bit: number) => name[bit >>> 5]! ^= 1 << (bit & 31);
  const hashes = () =>
    hashesOf(64 * 64, 2, (name, index) => {
      const one = index >>> 6;
      const other = index & 63;
      // Each pair once: the other half of the square is covered by the last words.
      if (other >= one) bits(name, one);
      if (other > one) bits(name, other);
      if (other < one) name[1] = index;
    });
  assertSpread(hashes, "one or two bits");
});

Deno.test("Numbers as names, and the same words in another order, have hashes like random ones", () => {
  const digits = new TextEncoder();
  const numbers = () =>
    hashesOf(2 ** 17, 4, (name, index) => {
      digits.encodeInto(String(index).padStart(16, "0"), new Uint8Array(name.buffer));
    });
  assertSpread(numbers, "numbers");
  const random = new Random(seedForTest("the same words in another order"));
  const seen = new Set<string>();
  const orders = () =>
    hashesOf(2 ** 14, 16, (name) => {
      do {
        const words = random.shuffle(Array.from({ length: 16 }, (_, index) => index * 0x01010101));
        name.set(words);
      } while (seen.has(name.join()));
      seen.add(name.join());
    });
  assertSpread(orders, "orders");
});

Deno.test("Hashes made together are those made one by one", () => {
  const random = new Random(seedForTest("hashes made together"));
  const hash = new KeyedHash();
  const words = new Int32Array(1000).map(() => random.next32());
  const starts = new Int32Array(64).map(() => random.below(900));
  const numbers = new Int32Array(64).map(() => (random.below(1000) << 9) | random.below(257));
  const together = new Int32Array(64);
  hash.ofEach(words, starts, numbers, 511, 64, together);
  const oneByOne = starts.map((from, index) => {
    const number = numbers[index]!;
    return hash.of(words, from, from + (((number & 511) + 3) >> 2), number);
  });
  assertEquals(together, oneByOne);
});

Deno.test("New secrets change every hash, and are refused until the keys are twice as many", () => {
  const hash = new KeyedHash();
  const words = new Int32Array(4).fill(0x61616161);
  const before = hash.of(words, 0, 4, 16);
  assert(hash.renew(1000));
  assert(hash.of(words, 0, 4, 16) !== before || hash.of(words, 0, 3, 12) !== before);
  assertEquals([hash.renew(1999), hash.renew(2000), hash.renew(2001)], [false, true, false]);
});

/** The arithmetic of halves against BigInt, above all at the limits of a word and of int64. */

import { assertEquals } from "@std/assert";
import {
  carryOf,
  clampedHigh,
  clampedLow,
  compareDescending,
  fitsInt64,
  getSafeInt64,
  hasOverflowed,
  highHalf,
  INT64_MAX,
  INT64_MIN,
  joinInt64,
  lowHalf,
  setSafeInt64,
} from "../../src/base/int64.ts";
import { Random, seedForTest } from "../support/random.ts";

const LIMITS = [
  0n,
  1n,
  -1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 32n,
  -(2n ** 32n),
  INT64_MAX,
  INT64_MIN,
];

/** All pairs of numbers near the limits, and random ones. */
function* pairs(): Generator<readonly [bigint, bigint]> {
  const random = new Random(seedForTest("int64"));
  const near = LIMITS.flatMap((limit) => [limit - 1n, limit, limit + 1n])
    .filter((value) => value >= INT64_MIN && value <= INT64_MAX);
  for (const left of near) for (const right of near) yield [left, right];
  for (let round = 0; round < 2000; round++) {
    yield [
      joinInt64(random.next32() | 0, random.next32()),
      joinInt64(random.next32() | 0, random.next32()),
    ];
  }
}

Deno.test("A sum of three words is exact, and clamped it is the nearest int64", () => {
  for (const [left, right] of pairs()) {
    const [leftHigh, leftLow] = [highHalf(left), lowHalf(left)];
    const [rightHigh, rightLow] = [highHalf(right), lowHalf(right)];
    const low = (leftLow + rightLow) | 0;
    const high = (leftHigh + rightHigh + carryOf(leftLow, rightLow, low)) | 0;
    const top = (leftHigh >> 31) + (rightHigh >> 31) + carryOf(leftHigh, rightHigh, high);
    const sum = left + right;
    assertEquals((BigInt(top) << 64n) + BigInt.asUintN(64, joinInt64(high, low)), sum);
    const nearest = sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : sum;
    assertEquals(joinInt64(clampedHigh(top, high), clampedLow(top, high, low)), nearest);
    assertEquals(fitsInt64(top, high), nearest === sum);
    assertEquals(hasOverflowed(leftHigh, rightHigh, high), nearest !== sum);
  }
});

Deno.test("A number far outside int64 is clamped by the sign of its top word", () => {
  for (const top of [1, 2 ** 31 - 1, -2, -(2 ** 31)]) {
    for (const high of [0, -1, 5]) {
      const limit = top < 0 ? INT64_MIN : INT64_MAX;
      assertEquals(joinInt64(clampedHigh(top, high), clampedLow(top, high, 7)), limit);
    }
  }
});

Deno.test("Halves join to the number that they were taken from, and compare as it does", () => {
  for (const [left, right] of pairs()) {
    assertEquals(joinInt64(highHalf(left), lowHalf(left)), left);
    assertEquals(joinInt64(highHalf(left), lowHalf(left) >>> 0), left);
    const order = compareDescending(highHalf(left), lowHalf(left), highHalf(right), lowHalf(right));
    assertEquals(Math.sign(order), left > right ? -1 : left < right ? 1 : 0);
  }
});

Deno.test("A safe integer is stored as the int64 that it is", () => {
  const view = new DataView(new ArrayBuffer(16));
  for (const value of [0, 1, -1, 2 ** 32, -(2 ** 32), 2 ** 53 - 1, -(2 ** 53) + 1, -2147483649]) {
    setSafeInt64(view, 3, value);
    assertEquals([view.getBigInt64(3, true), getSafeInt64(view, 3)], [BigInt(value), value]);
  }
});

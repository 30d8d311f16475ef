import { assertEquals } from "@std/assert";
import { Overlay } from "../../../src/counters/view/ranking/overlay.ts";
import { RowBuffer } from "../../../src/counters/view/ranking/row_buffer.ts";
import { decodeRows } from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import {
  inRankOrder,
  INT64_MAX,
  INT64_MIN,
  latin1Text,
  PlainBase,
  type PlainRow,
  wordsOf,
} from "./plain_base.ts";

function add(overlay: Overlay, key: string, increment: bigint): void {
  const low = Number(BigInt.asIntN(32, increment));
  const high = Number(BigInt.asIntN(32, increment >> 32n));
  overlay.add(wordsOf(key), 0, key.length, high >> 31, high, low);
}

function page(overlay: Overlay, offset: number, length: number): PlainRow[] {
  const out = new RowBuffer(16);
  out.append(new Uint8Array([1, 2, 3]));
  const count = overlay.copyRows(offset, length, out);
  const rows = [...decodeRows(out.filled().subarray(3), count)];
  return rows.map((row) => ({ key: latin1Text(row.key), value: row.value }));
}

function find(overlay: Overlay, key: string): { value: bigint; rank: number } | null {
  const view = new DataView(new Uint8Array(wordsOf(key).buffer).slice(0, key.length).buffer);
  if (!overlay.find(view, 0, key.length)) return null;
  const { foundHigh, foundLow } = overlay;
  const value = (BigInt(foundHigh) << 32n) | BigInt(foundLow >>> 0);
  return { value, rank: overlay.rankOfFound(view, 0, key.length) };
}

function overlayOn(counters: Record<string, bigint>): Overlay {
  return new Overlay(new PlainBase(new Map(Object.entries(counters))), new RowBuffer(64));
}

Deno.test("An increment that is not folded yet overtakes", () => {
  const overlay = overlayOn({ a: 10n, b: 5n });
  add(overlay, "b", 10n);
  assertEquals(page(overlay, 0, 10), [{ key: "b", value: 15n }, { key: "a", value: 10n }]);
});

Deno.test("A decrement that is not folded yet keeps one row", () => {
  const overlay = overlayOn({ a: 10n, b: 5n, c: 1n });
  add(overlay, "a", -7n);
  add(overlay, "b", -1n);
  assertEquals(page(overlay, 0, 10), [
    { key: "b", value: 4n },
    { key: "a", value: 3n },
    { key: "c", value: 1n },
  ]);
  assertEquals(find(overlay, "c"), { value: 1n, rank: 2 });
});

Deno.test("Counters with the sum zero stay, and negative values rank last", () => {
  const overlay = overlayOn({ a: 5n, m: 0n });
  add(overlay, "a", -5n);
  add(overlay, "new", 3n);
  add(overlay, "new", -3n);
  add(overlay, "z", -3n);
  assertEquals(page(overlay, 0, 10), [
    { key: "a", value: 0n },
    { key: "m", value: 0n },
    { key: "new", value: 0n },
    { key: "z", value: -3n },
  ]);
});

Deno.test("A value is clamped to 64 bits, and is exact again when the sum comes back into them", () => {
  const overlay = overlayOn({ top: INT64_MAX, bottom: INT64_MIN });
  add(overlay, "top", 1n);
  add(overlay, "bottom", INT64_MIN);
  add(overlay, "new", INT64_MAX);
  add(overlay, "new", INT64_MAX);
  assertEquals(page(overlay, 0, 10).map((row) => row.value), [INT64_MAX, INT64_MAX, INT64_MIN]);
  add(overlay, "new", INT64_MIN);
  add(overlay, "top", -3n);
  assertEquals(find(overlay, "new")?.value, 2n * INT64_MAX + INT64_MIN);
  assertEquals(find(overlay, "top")?.value, INT64_MAX - 2n);
  assertEquals(find(overlay, "bottom"), { value: INT64_MIN, rank: 2 });
});

const pages = new FullCount("overlay");

Deno.test("The overlay equals the plain sum of base and changes at every page, key and rank", () => {
  const random = new Random(seedForTest("overlay"));
  for (const _ of pages.rounds(200, 3000)) {
    const keys = Array.from(
      { length: random.between(1, 60) },
      (_, index) =>
        random.chance(0.1) ? "" : `${"k".repeat(random.below(9))}${random.below(40) + index}`,
    );
    // Few distinct values, so that ties are common; sometimes values at the limits.
    const value = () =>
      random.chance(0.1)
        ? random.pick([INT64_MAX, INT64_MIN, INT64_MAX - 1n])
        : BigInt(random.between(-4, 4));
    const base = new Map<string, bigint>();
    for (const key of keys) if (random.chance(0.6)) base.set(key, value());
    const overlay = new Overlay(new PlainBase(base), new RowBuffer(16));
    const sums = new Map<string, bigint>();
    for (let steps = random.below(5); steps >= 0; steps--) {
      for (let count = random.below(20); count > 0; count--) {
        const key = random.pick(keys);
        const increment = value();
        add(overlay, key, increment);
        sums.set(key, (sums.get(key) ?? 0n) + increment);
      }
      const values = new Map(base);
      for (const [key, sum] of sums) {
        const exact = (base.get(key) ?? 0n) + sum;
        values.set(key, exact > INT64_MAX ? INT64_MAX : exact < INT64_MIN ? INT64_MIN : exact);
      }
      const expected = inRankOrder(Array.from(values, ([key, value]) => ({ key, value })));
      // Keys may be asked for before a call has brought the order up to date.
      for (const key of random.shuffle([...keys, "absent"]).slice(0, 5)) {
        const rank = expected.findIndex((row) => row.key === key);
        const found = rank < 0 ? null : { value: expected[rank]!.value, rank };
        assertEquals(find(overlay, key), found);
      }
      assertEquals(overlay.total(), expected.length);
      assertEquals(page(overlay, 0, 1000), expected);
      for (let tries = 0; tries < 6; tries++) {
        const offset = random.below(expected.length + 3);
        const length = random.below(expected.length + 3);
        assertEquals(page(overlay, offset, length), expected.slice(offset, offset + length));
      }
    }
  }
});

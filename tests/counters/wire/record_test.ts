import { assertEquals, assertThrows } from "@std/assert";
import {
  BadRecordError,
  checkBatch,
  encodeCounter,
  encodeDefinition,
  RECORD_BYTES_MAX,
  recordBytes,
  RecordCursor,
} from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";

const text = new TextEncoder();

function smallBatch(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(200);
  let end = encodeDefinition(bytes, 0, { number: 0, name: text.encode("paths") });
  end = encodeCounter(bytes, end, { keyspace: 0, key: text.encode("/index"), increment: -7n });
  end = encodeDefinition(bytes, end, { number: 1, name: text.encode("0123456789abcdef") });
  end = encodeCounter(bytes, end, { keyspace: 1, key: new Uint8Array(0), increment: 1n });
  return bytes.slice(0, end);
}

Deno.test("A 16-byte key takes 32 bytes, an empty one 16, the longest 272", () => {
  assertEquals([recordBytes(16), recordBytes(0), recordBytes(256)], [32, 16, RECORD_BYTES_MAX]);
});

Deno.test("A cursor gives back what was encoded", () => {
  const bytes = smallBatch();
  const cursor = new RecordCursor(bytes);
  const seen: [number, number, string, bigint][] = [];
  while (cursor.next()) {
    const name = new TextDecoder().decode(cursor.name());
    seen.push([cursor.kind, cursor.keyspace, name, cursor.increment()]);
  }
  assertEquals(seen, [
    [2, 0, "paths", 0n],
    [1, 0, "/index", -7n],
    [2, 1, "0123456789abcdef", 0n],
    [1, 1, "", 1n],
  ]);
  assertEquals(checkBatch(bytes, 0, bytes.length), 2);
});

Deno.test("A batch cut anywhere but after a record is refused", () => {
  const bytes = smallBatch();
  const ends = new Set([0, 24, 48, 80, 96]);
  for (let end = 0; end <= bytes.length; end++) {
    if (ends.has(end)) checkBatch(bytes, 0, end);
    else assertThrows(() => checkBatch(bytes, 0, end), BadRecordError);
  }
});

Deno.test("Every rule of a batch is checked", () => {
  const breaks: [string, (bytes: Uint8Array) => void][] = [
    ["unknown kind", (bytes) => bytes[24] = 0],
    ["unknown kind", (bytes) => bytes[24] = 3],
    ["flags", (bytes) => bytes[25] = 1],
    ["reserved bytes", (bytes) => bytes[31] = 1],
    ["too long", (bytes) => bytes[27] = 2],
    ["unknown keyspace", (bytes) => bytes[28] = 1],
    ["wrong number", (bytes) => bytes[4] = 1],
    ["padding", (bytes) => bytes[47] = 1],
    ["holds NUL", (bytes) => bytes[41] = 0],
    ["with an increment", (bytes) => bytes[8] = 1],
    ["empty keyspace", (bytes) => bytes[2] = 0],
  ];
  for (const [message, damage] of breaks) {
    const bytes = smallBatch();
    damage(bytes);
    assertThrows(() => checkBatch(bytes, 0, bytes.length), BadRecordError, message);
  }
});

const count = new FullCount("record cursor");

Deno.test("A cursor over noise ends normally or with a bad record, and stays in bounds", () => {
  const random = new Random(seedForTest("record cursor"));
  for (const _ of count.rounds(20_000, 400_000)) {
    const bytes = random.chance(0.5) ? random.bytes(random.below(120)) : smallBatch();
    for (let flips = random.below(4); flips > 0 && bytes.length > 0; flips--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    const cursor = new RecordCursor(bytes);
    let steps = 0;
    try {
      while (cursor.next()) {
        assertEquals(cursor.nameStart + cursor.nameLength <= bytes.length, true);
        assertEquals(++steps < 20, true);
      }
    } catch (error) {
      if (!(error instanceof BadRecordError)) throw error;
      assertEquals(error.offset >= 0 && error.offset < bytes.length, true);
    }
  }
});

import { assert, assertEquals } from "@std/assert";
import {
  frameBytesMax,
  frameBytesOf,
  FrameCursor,
  frameMemory,
  writeFrame,
} from "../../src/database/format/frame.ts";
import { frameKinds } from "../../src/database/format/layout.ts";
import { scanLog } from "../../src/database/files/log_scan.ts";
import { textBytes, writeText } from "../../src/database/format/text.ts";
import { Random, seedForTest } from "../support/random.ts";
import { setOf } from "./model.ts";

const seed = 0x1234_5678;
const start = 4096;

function step(index: number, more: { durable?: number; continues?: boolean } = {}) {
  return {
    kind: frameKinds.entry,
    index,
    committed: index + 1,
    durable: more.durable ?? 0,
    continues: more.continues ?? false,
  };
}

/** Writes frames one after the other from `start` on; returns their offsets and the end. */
function framesOf(
  values: readonly { value: string; durable?: number; continues?: boolean }[],
): { bytes: Uint8Array; offsets: number[]; end: number } {
  const bytes = new Uint8Array(2 ** 16);
  const memory = frameMemory(bytes);
  const offsets: number[] = [];
  let end = start;
  for (const [index, { value, ...more }] of values.entries()) {
    offsets.push(end);
    end = writeFrame(memory, end, { seed, entry: setOf("k", value), step: step(index, more) });
  }
  return { bytes, offsets, end };
}

Deno.test("A frame holds every text and every term, and has the length that was computed before", () => {
  const random = new Random(seedForTest("frames"));
  const memory = frameMemory(new Uint8Array(2 ** 16));
  for (let round = 0; round < 300; round++) {
    memory.bytes.fill(0);
    const text = () =>
      Array.from({ length: random.below(100) }, () => random.pick(["a", "ü", "€", "😀", "\0"]))
        .join("");
    const entry = { command: text(), key: text(), value: text(), term: random.bigInt64() };
    const offset = 8 * random.below(100);
    const index = random.below(2 ** 31) * 2 ** 20;
    const durable = random.below(2 ** 31) * 2 ** 12;
    const end = writeFrame(memory, offset, { seed, entry, step: step(index, { durable }) });
    assertEquals(end - offset, frameBytesOf(entry));
    assert(end - offset <= frameBytesMax(entry));
    const cursor = new FrameCursor(memory.bytes, seed);
    assert(cursor.at(offset, end));
    assertEquals(cursor.entry(), entry);
    assertEquals([cursor.index, cursor.committed, cursor.durable], [index, index + 1, durable]);
    assertEquals(cursor.at(offset, end - 1), false);
  }
});

Deno.test("A frame that was copied to another place, or into another database, is never valid", () => {
  const { bytes, offsets, end } = framesOf([{ value: "1" }]);
  const [offset] = offsets as [number];
  const moved = new Uint8Array(2 ** 16);
  for (let place = 0; place < 2 ** 15; place += 8) {
    moved.fill(0);
    moved.set(bytes.subarray(offset, end), place);
    assertEquals(new FrameCursor(moved, seed).at(place, moved.length), place === offset);
  }
  assertEquals(new FrameCursor(bytes, seed + 1).at(offset, bytes.length), false);
});

Deno.test("The length of a text is right for short ASCII and for any other text", () => {
  const bytes = new Uint8Array(2000);
  for (const text of ["", "a", "a".repeat(64), "a".repeat(65), "aü", "€", "😀x", "é".repeat(100)]) {
    const expected = new TextEncoder().encode(text);
    assertEquals(writeText(bytes, 10, text), 10 + expected.length);
    assertEquals(bytes.slice(10, 10 + expected.length), expected);
    assertEquals(textBytes(text), expected.length);
  }
});

Deno.test("A broken frame is damage if and only if its place is below a known durable length", () => {
  for (const claims of [true, false]) {
    const { bytes, offsets, end } = framesOf([
      { value: "1" },
      { value: "2" },
      { value: "3", durable: claims ? start + 150 : start },
    ]);
    const second = offsets[1] as number;
    bytes[second + 60] = 0xff;
    const scan = scanLog(bytes, { seed, from: start, durable: start }, () => {});
    assertEquals(scan.tail, second);
    assertEquals(scan.tornEnd, end);
    assertEquals(scan.damage, claims ? { offset: second, durable: start + 150 } : null);
    // The durable length may also come from the log mark or the snapshot.
    const known = scanLog(bytes, { seed, from: start, durable: second + 8 }, () => {});
    assertEquals(known.damage?.offset, second);
  }
});

Deno.test("A step of several frames counts as a whole or not at all", () => {
  const frames = [
    { value: "1" },
    { value: "2", continues: true },
    { value: "3", continues: true },
    { value: "4" },
  ];
  const { bytes, offsets, end } = framesOf(frames);
  const seen = (limit: number) => {
    const indexes: number[] = [];
    const scan = scanLog(
      bytes.subarray(0, limit),
      { seed, from: start, durable: start },
      (frame) => void indexes.push(frame.index),
    );
    return { indexes, tail: scan.tail };
  };
  assertEquals(seen(end), { indexes: [0, 1, 2, 3], tail: end });
  for (const limit of [end - 8, offsets[3] as number, offsets[2] as number]) {
    assertEquals(seen(limit), { indexes: [0], tail: offsets[1] as number });
  }
});

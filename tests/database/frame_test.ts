import { assert, assertEquals } from "@std/assert";
import {
  EntryCursor,
  entryFrames,
  frameBytesMax,
  frameBytesOf,
  writeEntry,
} from "../../src/database/format/frame.ts";
import type { Entry } from "../../src/database/format/entry.ts";
import { frameKinds } from "../../src/database/format/layout.ts";
import { endOfBytes, LogBytes, scanLog, sealFrame } from "../../src/file/checked_log/mod.ts";
import { textBytes, writeText } from "../../src/database/format/text.ts";
import { Random, seedForTest } from "../support/random.ts";
import { setOf } from "./model.ts";

const seed = 0x1234_5678;
const start = 4096;

function stepOf(index: number, more: { durable?: number; continues?: boolean } = {}) {
  return {
    kind: frameKinds.entry,
    index,
    committed: index + 1,
    durable: more.durable ?? 0,
    continues: more.continues ?? false,
  };
}

/** Writes a frame at `offset` of zeroed memory, as the log does; returns its end. */
function writeFrame(
  memory: LogBytes,
  offset: number,
  { entry, step }: { readonly entry: Entry; readonly step: ReturnType<typeof stepOf> },
): number {
  const end = writeEntry(memory, offset, entry, step);
  const { magic } = entryFrames;
  return sealFrame(memory, offset, { magic, seed, offset, end, durable: step.durable });
}

/** Writes frames one after the other from `start` on; returns their offsets and the end. */
function framesOf(
  values: readonly { value: string; durable?: number; continues?: boolean }[],
): { bytes: Uint8Array; offsets: number[]; end: number } {
  const bytes = new Uint8Array(2 ** 16);
  const memory = new LogBytes(bytes);
  const offsets: number[] = [];
  let end = start;
  for (const [index, { value, ...more }] of values.entries()) {
    offsets.push(end);
    end = writeFrame(memory, end, { entry: setOf("k", value), step: stepOf(index, more) });
  }
  return { bytes, offsets, end };
}

Deno.test("A frame holds every text and every term, and has the length that was computed before", () => {
  const random = new Random(seedForTest("frames"));
  const memory = new LogBytes(new Uint8Array(2 ** 16));
  for (let round = 0; round < 300; round++) {
    memory.bytes.fill(0);
    const text = () =>
      Array.from({ length: random.below(100) }, () => random.pick(["a", "ü", "€", "😀", "\0"]))
        .join("");
    const entry = { command: text(), key: text(), value: text(), term: random.bigInt64() };
    const offset = 8 * random.below(100);
    const durable = 8 * random.below(offset / 8 + 1);
    const index = random.below(2 ** 31) * 2 ** 20;
    const end = writeFrame(memory, offset, { entry, step: stepOf(index, { durable }) });
    assertEquals(end - offset, frameBytesOf(entry));
    assert(end - offset <= frameBytesMax(entry));
    const cursor = new EntryCursor(memory.bytes, seed);
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
    assertEquals(new EntryCursor(moved, seed).at(place, moved.length), place === offset);
  }
  assertEquals(new EntryCursor(bytes, seed + 1).at(offset, bytes.length), false);
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
      { value: "3", durable: claims ? start + 88 : start },
    ]);
    const second = offsets[1] as number;
    bytes[second + 60] = 0xff;
    const scan = (durable: number) =>
      scanLog(
        new EntryCursor(bytes, seed),
        { from: start, limit: bytes.length, durable },
        () => {},
      );
    const { tail, damage } = scan(start);
    assertEquals(tail, second);
    assertEquals(endOfBytes(bytes, tail), end);
    assertEquals(damage, claims ? { offset: second, durable: start + 88 } : null);
    // The durable length may also come from the log mark or the snapshot.
    assertEquals(scan(second + 8).damage?.offset, second);
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
    const range = { from: start, limit, durable: start };
    const frames = new EntryCursor(bytes, seed);
    const { tail } = scanLog(frames, range, (frame) => void indexes.push(frame.index));
    return { indexes, tail };
  };
  assertEquals(seen(end), { indexes: [0, 1, 2, 3], tail: end });
  for (const limit of [end - 8, offsets[3] as number, offsets[2] as number]) {
    assertEquals(seen(limit), { indexes: [0], tail: offsets[1] as number });
  }
});

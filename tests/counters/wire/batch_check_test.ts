/** The check of batches from outside: its rules, and that all it passes is a batch of the log. */

import { assert, assertEquals } from "@std/assert";
import {
  BatchCheck,
  checkBatch,
  encodeCounter,
  encodeDefinition,
  RECORD_NAME_OFFSET,
  recordBytes,
  RecordCursor,
  recordReasons,
} from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";

const text = new TextEncoder();
const sizes = { keyspaceSize: 256, keySize: 256 };

type Part = readonly ["define", number, string] | readonly ["add", number, string, bigint];

function batchOf(parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const names = parts.map(([, , name]) => text.encode(name));
  const bytes = new Uint8Array(names.reduce((sum, { length }) => sum + recordBytes(length), 0));
  let end = 0;
  for (const [index, [kind, number, , increment]] of parts.entries()) {
    const name = names[index]!;
    end = kind === "define"
      ? encodeDefinition(bytes, end, { number, name })
      : encodeCounter(bytes, end, { keyspace: number, key: name, increment: increment! });
  }
  return bytes;
}

function judge(bytes: Uint8Array<ArrayBuffer>, counters: number, widths = sizes) {
  const check = new BatchCheck(widths);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  const isGood = check.isGood(words, 0, words.length, counters);
  return { isGood, index: check.index, reason: check.reason, definitions: check.definitions };
}

/** 5 records, 3 of them counters; the fourth record begins at byte 80. */
const good: readonly Part[] = [
  ["define", 0, "paths"],
  ["add", 0, "/index", -7n],
  ["define", 1, "0123456789abcdef"],
  ["add", 1, "", 1n],
  ["add", 0, "12345678", 2n ** 63n - 1n],
];

Deno.test("A batch is good with names of every length, and the empty one", () => {
  assertEquals(judge(batchOf(good), 3), { isGood: true, index: 5, reason: 0, definitions: 2 });
  assertEquals(judge(new Uint8Array(0), 0).isGood, true);
  for (let length = 1; length <= 256; length++) {
    const bytes = batchOf([["define", 0, "k".repeat(length)], ["add", 0, "é".padEnd(length), 1n]]);
    const key = text.encode("é".padEnd(length)).length;
    assertEquals(judge(bytes, 1).isGood, key <= 256, `${length}`);
  }
});

Deno.test("Each rule has a reason, and the index is that of the record that breaks it", () => {
  const change = (at: number, value: number) => {
    const bytes = batchOf(good);
    bytes[at] = value;
    return bytes;
  };
  const cases: [keyof typeof recordReasons, number, Uint8Array<ArrayBuffer>, number?][] = [
    ["cutOff", 4, batchOf(good).slice(0, -8)],
    ["cutOff", 4, batchOf(good).slice(0, 104)],
    ["kind", 1, change(24, 0)],
    ["kind", 1, change(24, 3)],
    ["flags", 1, change(25, 1)],
    ["flags", 1, change(25, 0x80)],
    ["flags", 2, change(49, 4)],
    ["nameTooLong", 1, change(27, 2)],
    ["nameTooLong", 0, change(3, 2)],
    ["nulInName", 1, change(41, 0)],
    ["nulInName", 1, change(45, 0)],
    ["nulInName", 0, change(16, 0)],
    ["padding", 1, change(46, 1)],
    ["padding", 0, change(23, 0x80)],
    ["emptyKeyspace", 0, change(2, 0)],
    ["definitionNumber", 0, change(4, 1)],
    ["definitionNumber", 2, change(52, 0)],
    ["definitionNumber", 2, change(55, 1)],
    ["definitionIncrement", 0, change(15, 1)],
    ["undefinedKeyspace", 1, change(28, 1)],
    ["undefinedKeyspace", 1, change(31, 1)],
    ["unusedDefinition", 1, batchOf([["define", 0, "a"], ["define", 1, "b"], ["add", 1, "", 1n]])],
    ["unusedDefinition", 3, batchOf([...good.slice(0, 3), ["add", 0, "x", 1n]])],
    ["unusedDefinition", 3, batchOf(good.slice(0, 3)), 1],
    ["zeroIncrement", 1, batchOf([["define", 0, "a"], ["add", 0, "", 0n]])],
    ["count", 5, batchOf(good), 2],
    ["count", 5, batchOf(good), 4],
  ];
  for (const [name, index, bytes, counters = 3] of cases) {
    const seen = judge(bytes, counters);
    assertEquals([seen.reason, seen.index], [recordReasons[name], index], name);
  }
  const named = new Set(cases.map(([name]) => name));
  assertEquals(named.size, Object.keys(recordReasons).length, "a reason is not tested");
});

Deno.test("Names are no longer than the fields of the directory", () => {
  const bytes = batchOf([["define", 0, "four"], ["add", 0, "eightlet", 1n]]);
  assert(judge(bytes, 1, { keyspaceSize: 4, keySize: 8 }).isGood);
  const { nameTooLong } = recordReasons;
  for (const [keyspaceSize, keySize, index] of [[3, 8, 0], [4, 7, 1]] as const) {
    const seen = judge(bytes, 1, { keyspaceSize, keySize });
    assertEquals([seen.isGood, seen.index, seen.reason], [false, index, nameTooLong]);
  }
});

Deno.test("A batch defines at most 1,024 keyspaces", () => {
  const parts = (count: number) =>
    Array.from({ length: count }, (_, number): Part[] => [
      ["define", number, `k${number}`],
      ["add", number, "", 1n],
    ]).flat();
  assert(judge(batchOf(parts(1024)), 1024).isGood);
  const seen = judge(batchOf(parts(1025)), 1025);
  assertEquals([seen.index, seen.reason], [
    2 * 1024,
    recordReasons.definitionNumber,
  ]);
});

/** The rules once more, byte by byte, over a cursor that tests the others. */
function isGoodByBytes(bytes: Uint8Array, counters: number): boolean {
  try {
    if (checkBatch(bytes, 0, bytes.length) !== counters) return false;
  } catch {
    return false;
  }
  const cursor = new RecordCursor(bytes);
  let unused = -1;
  while (cursor.next()) {
    const isDefinition = cursor.kind === 2;
    if (!isDefinition && cursor.increment() === 0n) return false;
    if (unused >= 0 && (isDefinition || cursor.keyspace !== unused)) return false;
    unused = isDefinition ? cursor.keyspace : -1;
  }
  return unused < 0;
}

const count = new FullCount("batch check");

Deno.test("The check by words and the check by bytes agree on mutated batches", () => {
  const random = new Random(seedForTest("batch check"));
  let good = 0;
  for (const _ of count.rounds(30_000, 600_000)) {
    const bytes = randomBatch(random);
    const counters = counterRecords(bytes);
    for (let changes = random.below(4); changes > 0; changes--) {
      bytes[random.below(bytes.length)] = random.pick([0, 1, 2, random.below(256)]);
    }
    const end = random.chance(0.9) ? bytes.length : 8 * random.below(bytes.length / 8);
    const part = bytes.slice(0, end);
    const seen = judge(part, counters);
    assertEquals(seen.isGood, isGoodByBytes(part, counters), `${part}`);
    if (seen.isGood) good++;
    else assert(seen.index * RECORD_NAME_OFFSET <= part.length && seen.reason > 0);
  }
  assert(good > 0, "no batch was good");
});

function counterRecords(bytes: Uint8Array): number {
  const cursor = new RecordCursor(bytes);
  let counters = 0;
  while (cursor.next()) if (cursor.kind === 1) counters++;
  return counters;
}

function randomBatch(random: Random): Uint8Array<ArrayBuffer> {
  const name = (least: number) => "abcdefghijklmnopqr".slice(0, random.between(least, 18));
  const parts: Part[] = [];
  let defined = 0;
  for (let records = random.between(1, 6); records > 0; records--) {
    let number = random.below(defined + 1);
    if (defined === 0 || number === defined) {
      parts.push(["define", number = defined++, name(1)]);
    }
    parts.push(["add", number, name(0), random.chance(0.05) ? 0n : random.bigInt64()]);
  }
  return batchOf(parts);
}

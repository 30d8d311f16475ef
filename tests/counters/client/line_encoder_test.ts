import { assertEquals } from "@std/assert";
import { LineEncoder } from "../../../src/counters/client/mod.ts";
import {
  DEFAULT_SIZES,
  type MessageSizes,
  writeMessageBytes,
} from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { parsePlainly, type PlainMessage } from "../wire/plain_parser.ts";

interface Encoded {
  readonly messages: PlainMessage[];
  readonly malformed: number[];
  readonly reasons: string[];
  readonly lines: number;
}

/** Encodes `chunks` into targets of `room` bytes. */
function encodeAll(chunks: Uint8Array[], sizes: MessageSizes, room: number): Encoded {
  const malformed: number[] = [];
  const reasons: string[] = [];
  const encoder = new LineEncoder(sizes, (line, reason) => {
    malformed.push(line);
    reasons.push(reason);
  });
  const target = new Uint8Array(room).fill(0xcc);
  const out: PlainMessage[] = [];
  const take = () => {
    const { verdicts, accepted } = parsePlainly(target.subarray(0, encoder.given), sizes);
    assertEquals(verdicts.every((good) => good), true);
    out.push(...accepted);
    target.fill(0xcc);
  };
  for (const chunk of chunks) {
    let rest = chunk;
    while (rest.length > 0) {
      encoder.encode(rest, target);
      rest = rest.subarray(encoder.taken);
      take();
    }
  }
  encoder.end(target);
  take();
  assertEquals(encoder.malformed, malformed.length);
  return { messages: out, malformed, reasons, lines: encoder.lines };
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The plain model of the encoder, with strings and BigInt. */
function readPlainly(text: string, sizes: MessageSizes): Omit<Encoded, "reasons"> {
  const messages: PlainMessage[] = [];
  const malformed: number[] = [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  lines.forEach((line, index) => {
    const [keyspace, key, ...rest] = line.split("\t");
    const increment = rest.length === 0 ? "1" : rest.join("\t");
    const isGood = keyspace !== undefined && key !== undefined && keyspace !== "" &&
      !keyspace.includes("\0") && !key.includes("\0") &&
      keyspace.length <= sizes.keyspaceSize && key.length <= sizes.keySize &&
      increment.length <= 40 && /^[-+]?[0-9]+$/.test(increment) &&
      BigInt.asIntN(64, BigInt(increment.replace("+", ""))) === BigInt(increment.replace("+", ""));
    if (isGood) messages.push({ keyspace, key, increment: BigInt(increment.replace("+", "")) });
    else malformed.push(index + 1);
  });
  return { messages, malformed, lines: lines.length };
}

Deno.test("A line is keyspace, key and perhaps an increment, between TABs", () => {
  const text = "paths\t/index\npaths\t\t5\nstatus\t200\t-3\n k \t k \t+07";
  assertEquals(encodeAll([bytesOf(text)], DEFAULT_SIZES, 520).messages, [
    { keyspace: "paths", key: "/index", increment: 1n },
    { keyspace: "paths", key: "", increment: 5n },
    { keyspace: "status", key: "200", increment: -3n },
    { keyspace: " k ", key: " k ", increment: 7n },
  ]);
});

Deno.test("A malformed line is reported by its number and the rest goes on", () => {
  const long = "x".repeat(257);
  const lines = [
    "good\tone",
    "",
    "no tab",
    "\tempty keyspace",
    "ks\tkey\tten",
    "ks\tkey\t",
    "ks\tkey\t1\t2",
    "ks\tkey\t9223372036854775808",
    `${long}\tkey`,
    `ks\t${long}`,
    "ks\ta\0b",
    "x".repeat(5000),
    "good\ttwo\t9223372036854775807",
    "good\tthree\t-9223372036854775808",
  ];
  const { messages, malformed, reasons } = encodeAll(
    [bytesOf(lines.join("\n"))],
    DEFAULT_SIZES,
    1040,
  );
  assertEquals(malformed, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  assertEquals(messages.map((message) => message.key), ["one", "two", "three"]);
  assertEquals(messages.map((message) => message.increment), [1n, 2n ** 63n - 1n, -(2n ** 63n)]);
  assertEquals(reasons[7], "the keyspace has 257 bytes, 256 fit");
  assertEquals(reasons[9], "a name cannot hold a NUL byte");
});

Deno.test("A line of any length takes bounded memory, in one piece and in many", () => {
  const long = new Uint8Array(1 << 20).fill(0x61);
  const end = bytesOf("\ngood\tkey\n");
  const result = encodeAll([long, long, end], DEFAULT_SIZES, 520);
  assertEquals([result.malformed, result.messages.length], [[1], 1]);
});

const count = new FullCount("line encoder");

Deno.test("Encoding lines equals the plain reading for any input and any segmentation", () => {
  const random = new Random(seedForTest("line encoder"));
  const pieces = ["\t", "\t", "\n", "1", "-", "+", "0", "9", "99999999999999999", "\0", "é", "ab"];
  for (const _ of count.rounds(1000, 20_000)) {
    const sizes = { keyspaceSize: random.between(1, 9), keySize: random.between(1, 9) };
    let text = "";
    for (let count = random.below(60); count > 0; count--) {
      text += random.chance(0.5)
        ? `k${random.below(9)}\tx${random.below(9)}\t${
          random.bigInt64() >> BigInt(random.below(64))
        }\n`
        : random.pick(pieces);
    }
    const bytes = bytesOf(text);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + random.between(1, random.chance(0.5) ? 3 : 100));
      chunks.push(bytes.subarray(at, end));
      at = end;
    }
    const room = writeMessageBytes(sizes) * random.between(1, 5);
    const { messages, malformed, lines } = encodeAll(chunks, sizes, room);
    assertEquals({ messages, malformed, lines }, readPlainly(text, sizes));
  }
});

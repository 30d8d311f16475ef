/** Hello and batches: the conversation of the README, byte for byte, and streams that are no such thing. */

import { assert, assertEquals } from "@std/assert";
import {
  admissionStatuses,
  batchChecksum,
  BatchHead,
  decodeAdmission,
  decodeBatchAnswer,
  decodeIntroduction,
  decodeWelcome,
  encodeAdmission,
  encodeBatch,
  encodeBatchAnswer,
  encodeHello,
  encodeIntroduction,
  encodeWelcome,
  findHello,
  headReasons,
  HelloExchange,
  type HelloTerms,
  type Introduction,
  ReceiveBuffer,
  TAKES_BATCHES,
  TAKES_REQUESTS,
} from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";

/** The bytes of one message of the conversation in the README. */
function exampleOf(name: string): Uint8Array<ArrayBuffer> {
  const readme = Deno.readTextFileSync(
    new URL("../../../src/counters/wire/README.md", import.meta.url),
  );
  const block = readme.split("### A conversation in bytes")[1]!.split("```")[1]!;
  const lines = block.split("\n");
  const first = lines.findIndex((line) => line.startsWith(`${name} `));
  assert(first >= 0, `the README has no ${name}`);
  const rest = lines.slice(first + 1).findIndex((line) => !line.startsWith(" "));
  const told = [lines[first]!.slice(name.length), ...lines.slice(first + 1, first + 1 + rest)];
  const [digits, zeros = "0"] = told.join("").split(", and ");
  const hex = digits!.replaceAll(" ", "");
  const bytes = new Uint8Array(hex.length / 2 + parseInt(zeros));
  for (let at = 0; at < hex.length / 2; at++) {
    bytes[at] = parseInt(hex.slice(2 * at, 2 * at + 2), 16);
  }
  return bytes;
}

const identity = Uint8Array.from({ length: 16 }, (_, index) => index * 0x11);
const sizes = { keyspaceSize: 256, keySize: 256 };
const terms: HelloTerms = { sizes, batchBytes: 524_288, takes: TAKES_BATCHES, identity };
const introduction: Introduction = {
  version: 1,
  flags: 0,
  producer: new Uint8Array(16),
  ...sizes,
  token: new Uint8Array(0),
};

function received(bytes: Uint8Array): ReceiveBuffer {
  const buffer = new ReceiveBuffer(new Uint8Array(bytes.length));
  buffer.unused().set(bytes);
  buffer.received(bytes.length);
  return buffer;
}

Deno.test("Both sides of a hello are the bytes of the README", () => {
  assertEquals(encodeHello(), exampleOf("hello"));
  const exchange = new HelloExchange(terms);
  const hello = received(exampleOf("hello"));
  assertEquals(exchange.next(hello), exampleOf("welcome"));
  assertEquals(hello.length, 0);
  const welcome = { version: 1, status: 0, ...sizes, batchBytes: 524_288, takes: 1, identity };
  assertEquals(decodeWelcome(exampleOf("welcome")), welcome);
  assertEquals(encodeWelcome(welcome), exampleOf("welcome"));
  assertEquals(encodeIntroduction(introduction), exampleOf("introduction"));
  assertEquals(decodeIntroduction(exampleOf("introduction")), introduction);
  assertEquals(exchange.next(received(exampleOf("introduction"))), exampleOf("admission"));
  assertEquals(exchange.state, "admitted");
  assertEquals(decodeAdmission(exampleOf("admission")), { status: 0, last: 0 });
  assertEquals(decodeAdmission(encodeAdmission({ status: 3, last: 2 ** 52 })), {
    status: 3,
    last: 2 ** 52,
  });
});

Deno.test("Batches and answers are the bytes of the README", () => {
  for (const [sequence, counters] of [[1, 2], [2, 1]] as const) {
    const bytes = exampleOf(`batch ${sequence}`);
    const records = bytes.subarray(24);
    assertEquals(encodeBatch({ sequence, counters, records }), bytes);
    const head = new BatchHead(terms.batchBytes);
    assertEquals(head.read(new DataView(bytes.buffer), 0), 0);
    assertEquals([head.bytes, head.sequence, head.records], [records.length, sequence, counters]);
    assertEquals(head.checksum, batchChecksum(bytes, 0, bytes.length));
  }
  // The first of the two answers.
  const answer = { sequence: 1, status: 0, reason: 0, detail: 0 };
  assertEquals(decodeBatchAnswer(exampleOf("answer"), 0), answer);
  const bytes = new Uint8Array(30);
  for (const detail of [12, -1, 2 ** 52]) {
    const refusal = { sequence: 2 ** 52 + 1, status: 1, reason: 12, detail };
    encodeBatchAnswer(new DataView(bytes.buffer), 6, refusal);
    assertEquals(decodeBatchAnswer(bytes, 6), refusal);
  }
});

Deno.test("A hello is told from other bytes by the first that differs, and by its last one", () => {
  const hello = new Uint8Array(600).fill(7);
  hello.set(encodeHello(), 3);
  assertEquals(findHello(hello, 3, 600), "whole");
  for (let length = 1; length < 520; length++) {
    assertEquals(findHello(hello, 3, 3 + length), "part");
    const other = hello.slice();
    other[3 + length - 1]! ^= 1;
    assertEquals(findHello(other, 3, 600), "none");
  }
});

Deno.test("A client that is refused is told why, and the server says it in words", () => {
  const told = (change: Partial<Introduction>, change2?: (bytes: Uint8Array) => void) => {
    const exchange = new HelloExchange(terms);
    exchange.next(received(encodeHello()));
    const bytes = encodeIntroduction({ ...introduction, ...change });
    change2?.(bytes);
    const { status } = decodeAdmission(exchange.next(received(bytes))!);
    assertEquals(exchange.state, status === 0 ? "admitted" : "refused");
    return [status, exchange.refusal];
  };
  const { malformed, otherVersion, otherWidths, notTaken, noProducers } = admissionStatuses;
  const broken = "its introduction has an unknown flag, or a byte that must be 0 and is not";
  assertEquals(told({ flags: 4 }), [malformed, broken]);
  assertEquals(told({}, (bytes) => bytes[255] = 1), [malformed, broken]);
  assertEquals(told({}, (bytes) => bytes[40] = 1), [malformed, broken]);
  // Another version may use what must be 0 in this one.
  const version = [otherVersion, "it speaks version 2, not 1"];
  assertEquals(told({ version: 2 }, (bytes) => bytes[255] = 1), version);
  assertEquals(told({ keySize: 16 }), [
    otherWidths,
    "its keyspace and key sizes are 256 and 16, not 256 and 256",
  ]);
  assertEquals(told({ flags: 2 }), [
    notTaken,
    "it has requests, and this port takes batches",
  ]);
  const producer = "it is a producer, and this countd has none: send batches without an id";
  assertEquals(told({ flags: 1 }), [noProducers, producer]);
  assertEquals(told({ producer: identity }), [noProducers, producer]);
  assertEquals(told({ token: new TextEncoder().encode("t".repeat(192)) }), [0, ""]);
  const reads = new HelloExchange({ ...terms, takes: TAKES_REQUESTS });
  reads.next(received(encodeHello()));
  reads.next(received(encodeIntroduction(introduction)));
  assertEquals(reads.refusal, "it has batches, and this port takes requests");
});

Deno.test("Every rule of a head has its reason", () => {
  const reason = (change: (view: DataView) => void, flags = 0) => {
    const bytes = encodeBatch({ sequence: 1, counters: 0, flags, records: new Uint8Array(32) });
    change(new DataView(bytes.buffer));
    return new BatchHead(64).read(new DataView(bytes.buffer), 0);
  };
  assertEquals(reason(() => {}), 0);
  assertEquals(reason((view) => view.setUint32(0, 64, true)), 0);
  assertEquals(reason((view) => view.setUint32(0, 72, true)), headReasons.bytes);
  assertEquals(reason((view) => view.setUint32(0, 33, true)), headReasons.bytes);
  assertEquals(reason((view) => view.setBigUint64(8, 0n, true)), headReasons.sequence);
  assertEquals(reason((view) => view.setBigUint64(8, 2n ** 53n - 1n, true)), 0);
  assertEquals(reason((view) => view.setBigUint64(8, 2n ** 53n, true)), headReasons.sequence);
  assertEquals(reason((view) => view.setUint32(16, 2, true)), 0);
  assertEquals(reason((view) => view.setUint32(16, 3, true)), headReasons.records);
  assertEquals(reason(() => {}, 1), 0);
  assertEquals(reason((view) => view.setUint32(16, 1, true), 1), headReasons.records);
  assertEquals(reason(() => {}, 2), headReasons.flags);
});

const count = new FullCount("mutated hellos and heads");

Deno.test("Mutated hellos and heads are refused or taken, and nothing else", () => {
  const random = new Random(seedForTest("mutated hellos and heads"));
  for (const _ of count.rounds(20_000, 1_000_000)) {
    const whole = new Uint8Array(520 + 256);
    whole.set(encodeHello());
    whole.set(encodeIntroduction(introduction), 520);
    for (let changes = random.below(4); changes > 0; changes--) {
      whole[random.below(whole.length)] = random.pick([0, 1, 0xff, random.below(256)]);
    }
    const bytes = whole.subarray(0, random.chance(0.5) ? whole.length : random.below(whole.length));
    const found = findHello(bytes, 0, bytes.length);
    if (found !== "whole") continue;
    const input = received(bytes);
    const exchange = new HelloExchange(terms);
    assertEquals(exchange.next(input)?.length, 64);
    const admission = exchange.next(input);
    if (bytes.length < whole.length) assertEquals(admission, null);
    else assertEquals(decodeAdmission(admission!).status === 0, exchange.state === "admitted");
    const at = random.below(bytes.length - 24);
    const head = new BatchHead(terms.batchBytes);
    const reason = head.read(new DataView(input.bytes.buffer), at);
    if (reason === 0) {
      assert(head.bytes <= terms.batchBytes && Number.isSafeInteger(head.sequence));
      assert(head.records * 16 <= head.bytes);
    } else assert(Object.values<number>(headReasons).includes(reason));
  }
});

import { assertEquals } from "@std/assert";
import {
  checkBatch,
  compactMessages,
  CompactState,
  DEFAULT_SIZES,
  encodeAnswers,
  type MessageSizes,
  RECORD_KIND_KEYSPACE,
  RecordCursor,
  writeMessageBytes,
  WriteMessageEncoder,
} from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { parsePlainly, type PlainMessage } from "./plain_parser.ts";

const text = new TextEncoder();

/** One message as bytes, with raw fields, so that broken ones can be made. */
function message(increment: bigint, keyspace: Uint8Array, key: Uint8Array, sizes: MessageSizes) {
  const bytes = new Uint8Array(writeMessageBytes(sizes));
  new DataView(bytes.buffer).setBigInt64(0, increment, true);
  bytes.set(keyspace, 8);
  bytes.set(key, 8 + sizes.keyspaceSize);
  return bytes;
}

function concatenated(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

function recordsOf(bytes: Uint8Array, start: number, end: number): PlainMessage[] {
  checkBatch(bytes, start, end);
  const records: PlainMessage[] = [];
  const keyspaces: string[] = [];
  const cursor = new RecordCursor(bytes, start, end);
  while (cursor.next()) {
    if (cursor.kind === RECORD_KIND_KEYSPACE) keyspaces.push(latin1(cursor.name()));
    else {
      records.push({
        keyspace: keyspaces[cursor.keyspace] as string,
        key: latin1(cursor.name()),
        increment: cursor.increment(),
      });
    }
  }
  return records;
}

function verdictsOf(state: CompactState): boolean[] {
  const count = state.accepted + state.refused;
  return Array.from(
    { length: count },
    (_, index) => (state.verdicts[index >> 3]! & (1 << (index & 7))) === 0,
  );
}

/** Compacts everything into one large target. */
function compactAll(source: Uint8Array, sizes: MessageSizes = DEFAULT_SIZES) {
  const state = new CompactState(sizes);
  state.wantsVerdicts = true;
  const target = new Uint8Array(source.length * 2 + 64).fill(0xcc);
  compactMessages(source, 0, source.length, target, 0, target.length, state);
  assertEquals(state.stop, "source-done");
  assertEquals(target.subarray(state.targetNext).every((byte) => byte === 0xcc), true);
  return { state, records: recordsOf(target, 0, state.targetNext), verdicts: verdictsOf(state) };
}

Deno.test("One message becomes a definition and a record of 32 bytes for a 16-byte key", () => {
  const key = text.encode("0123456789abcdef");
  const { state, records } = compactAll(message(47n, text.encode("ks"), key, DEFAULT_SIZES));
  assertEquals(records, [{ keyspace: "ks", key: "0123456789abcdef", increment: 47n }]);
  assertEquals(state.targetNext, (16 + 8) + (16 + 16));
  assertEquals(state.records, 1);
});

Deno.test("An increment of −9 begins with F7 FF FF FF FF FF FF FF", () => {
  const encoder = new WriteMessageEncoder(DEFAULT_SIZES);
  const bytes = new Uint8Array(encoder.messageBytes).fill(0xee);
  const names = { keyspace: text.encode("ks"), key: text.encode("k") };
  encoder.encode(new DataView(bytes.buffer), 0, { ...names, increment: -9n });
  assertEquals([...bytes.subarray(0, 8)], [0xf7, 255, 255, 255, 255, 255, 255, 255]);
  assertEquals(bytes, message(-9n, names.keyspace, names.key, DEFAULT_SIZES));
  assertEquals(compactAll(bytes).records, [{ keyspace: "ks", key: "k", increment: -9n }]);
});

Deno.test("An empty keyspace is refused and an empty key is a key", () => {
  const empty = new Uint8Array(0);
  const { state, records, verdicts } = compactAll(concatenated([
    message(1n, empty, text.encode("k"), DEFAULT_SIZES),
    message(2n, text.encode("ks"), empty, DEFAULT_SIZES),
    message(3n, empty, empty, DEFAULT_SIZES),
  ]));
  assertEquals(verdicts, [false, true, false]);
  assertEquals(records, [{ keyspace: "ks", key: "", increment: 2n }]);
  assertEquals(state.refusals, {
    emptyKeyspace: 2,
    keyspaceAfterNul: 0,
    keyAfterNul: 0,
    tooManyKeyspaces: 0,
  });
});

Deno.test("Names of 256 bytes without a NUL come through whole", () => {
  const keyspace = new Uint8Array(256).fill(0xff);
  const key = Uint8Array.from({ length: 256 }, (_, index) => (index % 255) + 1);
  const { records } = compactAll(message(1n, keyspace, key, DEFAULT_SIZES));
  assertEquals(records, [{ keyspace: latin1(keyspace), key: latin1(key), increment: 1n }]);
});

Deno.test("Any byte after the first NUL is refused, wherever it is", () => {
  for (const [field, start] of [["keyspaceAfterNul", 8], ["keyAfterNul", 264]] as const) {
    for (let length = field === "keyAfterNul" ? 0 : 1; length < 255; length++) {
      for (const stray of [length + 1, length + 2, length + 5, 254, 255]) {
        if (stray <= length || stray > 255) continue;
        const bytes = message(1n, text.encode("a"), text.encode("b"), DEFAULT_SIZES);
        bytes.fill(0x61, start, start + length);
        bytes.fill(0, start + length, start + 256);
        bytes[start + stray] = stray % 2 === 0 ? 0x80 : 1;
        // Once after a good message of the same keyspace, which is remembered, and once alone.
        const good = message(5n, bytes.slice(8, 8 + length), text.encode("b"), DEFAULT_SIZES);
        const pair = field === "keyspaceAfterNul" ? [good, bytes] : [bytes];
        const { state, verdicts } = compactAll(concatenated(pair));
        assertEquals(verdicts.at(-1), false, `${field}, length ${length}, stray ${stray}`);
        assertEquals(state.refusals[field], 1);
      }
    }
  }
  const leadingNul = message(1n, new Uint8Array([0, 0x61]), text.encode("k"), DEFAULT_SIZES);
  assertEquals(compactAll(leadingNul).verdicts, [false]);
  const distinct = [new Uint8Array(255).fill(0x61), new Uint8Array(256).fill(0x61)];
  const both = distinct.map((key) => message(1n, text.encode("ks"), key, DEFAULT_SIZES));
  assertEquals(compactAll(concatenated(both)).records.map((record) => record.key.length), [
    255,
    256,
  ]);
});

Deno.test("A zero increment is accepted, leaves no record, and must still be well formed", () => {
  const empty = new Uint8Array(0);
  const { state, records, verdicts } = compactAll(concatenated([
    message(0n, text.encode("ks"), text.encode("k"), DEFAULT_SIZES),
    message(0n, empty, text.encode("k"), DEFAULT_SIZES),
  ]));
  assertEquals(verdicts, [true, false]);
  assertEquals(records, []);
  assertEquals([state.accepted, state.refused, state.records, state.targetNext], [1, 1, 0, 0]);
});

Deno.test("Increments keep all 64 bits", () => {
  const increments = [9007199254740993n, 2n ** 63n - 1n, -(2n ** 63n), -1n, 2n ** 32n, 1n];
  const bytes = concatenated(
    increments.map((value) => message(value, text.encode("k"), text.encode("k"), DEFAULT_SIZES)),
  );
  assertEquals(compactAll(bytes).records.map((record) => record.increment), increments);
});

Deno.test("A full target stops before the record, and the next target continues the same batch", () => {
  const keys = ["one", "two", "three", "four-is-longer-than-eight"];
  const source = concatenated(
    keys.map((key) => message(1n, text.encode("ks"), text.encode(key), DEFAULT_SIZES)),
  );
  const whole = compactAll(source);
  for (let room = 0; room <= whole.state.targetNext; room += 8) {
    const state = new CompactState(DEFAULT_SIZES);
    const target = new Uint8Array(whole.state.targetNext + 64).fill(0xcc);
    compactMessages(source, 0, source.length, target, 0, room, state);
    const first = state.targetNext;
    assertEquals(first <= room, true);
    assertEquals(target.subarray(first).every((byte) => byte === 0xcc), true);
    assertEquals(state.stop, room < whole.state.targetNext ? "target-full" : "source-done");
    compactMessages(source, state.sourceNext, source.length, target, first, target.length, state);
    assertEquals(state.stop, "source-done");
    assertEquals(recordsOf(target, 0, state.targetNext), whole.records);
  }
});

Deno.test("A batch defines 4,096 keyspaces and then asks for another batch", () => {
  const sizes = { keyspaceSize: 8, keySize: 4 };
  const source = concatenated(
    Array.from({ length: 4097 }, (_, index) => {
      return message(1n, text.encode(`k${index}`), text.encode("x"), sizes);
    }),
  );
  const state = new CompactState(sizes);
  const target = new Uint8Array(1 << 20);
  compactMessages(source, 0, source.length, target, 0, target.length, state);
  assertEquals([state.stop, state.accepted], ["keyspaces-full", 4096]);
  assertEquals(checkBatch(target, 0, state.targetNext), 4096);
  const second = state.targetNext;
  state.beginBatch();
  compactMessages(source, state.sourceNext, source.length, target, second, target.length, state);
  assertEquals([state.stop, state.accepted], ["source-done", 1]);
  assertEquals(recordsOf(target, second, state.targetNext)[0]?.keyspace, "k4096");
});

Deno.test("Answers follow the verdicts", () => {
  const good = message(1n, text.encode("ks"), text.encode("k"), DEFAULT_SIZES);
  const bad = message(1n, new Uint8Array(0), text.encode("k"), DEFAULT_SIZES);
  const { state } = compactAll(concatenated([good, bad, good, good, bad]));
  const answers = new Uint8Array(15);
  const end = encodeAnswers(state.verdicts, { first: 0, count: 5 }, { target: answers, offset: 0 });
  assertEquals(end, 15);
  assertEquals(new TextDecoder().decode(answers), "WINNAYWINWINNAY");
  encodeAnswers(state.verdicts, { first: 1, count: 2 }, { target: answers, offset: 3 });
  assertEquals(new TextDecoder().decode(answers), "WINNAYWINWINNAY");
});

/** A message that is good, nearly good, or noise. */
function randomMessage(random: Random, sizes: MessageSizes, keyspaces: Uint8Array[]): Uint8Array {
  const noNul = (length: number) => random.bytes(length).map((byte) => byte === 0 ? 1 : byte);
  const keyspace = random.chance(0.8)
    ? random.pick(keyspaces)
    : noNul(random.between(0, sizes.keyspaceSize));
  const key = noNul(
    random.between(0, random.chance(0.7) ? Math.min(20, sizes.keySize) : sizes.keySize),
  );
  const increment = random.chance(0.1) ? 0n : random.bigInt64();
  const bytes = message(increment, keyspace, key, sizes);
  if (random.chance(0.2)) bytes[8 + random.below(bytes.length - 8)] = random.below(3) * 0x7f;
  if (random.chance(0.02)) bytes.set(random.bytes(bytes.length));
  return bytes;
}

const count = new FullCount("compact messages");

Deno.test("Compacting equals the plain parser for any widths, offsets, targets and segments", () => {
  const random = new Random(seedForTest("compact messages"));
  for (const _ of count.rounds(150, 3000)) {
    const sizes = random.chance(0.4) ? DEFAULT_SIZES : {
      keyspaceSize: random.between(1, random.chance(0.5) ? 12 : 256),
      keySize: random.between(1, random.chance(0.5) ? 12 : 256),
    };
    const keyspaces = Array.from(
      { length: random.between(1, 40) },
      () => random.bytes(random.between(1, sizes.keyspaceSize)).map((byte) => byte | 1),
    );
    const stream = concatenated(
      Array.from({ length: random.between(0, 60) }, () => randomMessage(random, sizes, keyspaces)),
    );
    const expected = parsePlainly(stream, sizes);

    // The stream is at a random offset in a larger buffer, in a view that has an offset itself.
    const lead = random.chance(0.5) ? 8 * random.below(4) : random.below(20);
    const buffer = random.bytes(lead + stream.length + 13);
    buffer.set(stream, lead);
    const shift = random.below(lead + 1);
    const source = buffer.subarray(shift);
    const start = lead - shift;

    const state = new CompactState(sizes);
    state.wantsVerdicts = random.chance(0.8);
    const target = random.bytes(8 * random.between(70, 1200));
    const verdicts: boolean[] = [];
    const records: PlainMessage[] = [];
    let at = start;
    let accepted = 0;
    let batchStart = 0;
    let next = 0;
    while (true) {
      const untouched = target.slice(next);
      compactMessages(source, at, start + stream.length, target, next, target.length, state);
      assertEquals(target.subarray(state.targetNext), untouched.subarray(state.targetNext - next));
      if (state.wantsVerdicts) verdicts.push(...verdictsOf(state));
      accepted += state.accepted;
      at = state.sourceNext;
      next = state.targetNext;
      if (state.stop === "source-done") break;
      records.push(...recordsOf(target, batchStart, next));
      state.beginBatch();
      next = batchStart = 0;
    }
    records.push(...recordsOf(target, batchStart, next));
    assertEquals(at, start + stream.length);
    assertEquals(accepted, expected.accepted.length);
    if (state.wantsVerdicts) assertEquals(verdicts, expected.verdicts);
    assertEquals(records, expected.accepted.filter((message) => message.increment !== 0n));
  }
});

import { assertEquals, assertThrows } from "@std/assert";
import {
  decodeReplyHead,
  decodeRows,
  DEFAULT_SIZES,
  encodeReplyHead,
  encodeRow,
  RequestCursor,
  RequestEncoder,
} from "../../../src/counters/wire/mod.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";

const text = new TextEncoder();
const encoder = new RequestEncoder(DEFAULT_SIZES);

/** The content of a request, by a second implementation. */
function readPlainly(bytes: Uint8Array, sizes: { keyspaceSize: number; keySize: number }) {
  const field = (start: number, size: number) => {
    const all = [...bytes.subarray(start, start + size)];
    const length = all.includes(0) ? all.indexOf(0) : size;
    return all.slice(length).every((byte) => byte === 0) ? all.slice(0, length) : null;
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keyspace = field(0, sizes.keyspaceSize);
  const offset = view.getBigInt64(sizes.keyspaceSize, true);
  const length = view.getBigInt64(sizes.keyspaceSize + 8, true);
  const size = sizes.keyspaceSize + 16;
  if (offset !== -(2n ** 63n)) {
    const isGood = keyspace !== null && keyspace.length > 0 && offset >= 0n && length >= 0n;
    return { kind: isGood ? "page" : "invalid", keyspace, offset, length, size };
  }
  const key = field(size, sizes.keySize);
  let kind = "invalid";
  if (length === 1n && keyspace !== null && keyspace.length > 0 && key !== null) kind = "key";
  if (length === 2n && keyspace !== null && keyspace.length === 0 && key !== null) {
    kind = "keyspaces";
  }
  return { kind, keyspace, key, offset, length, size: size + sizes.keySize };
}

Deno.test("A page request has 272 bytes and an extended one 528", () => {
  assertEquals(encoder.page(text.encode("ks"), { offset: 0n, length: 10n }).length, 272);
  assertEquals(encoder.key(text.encode("ks"), text.encode("k")).length, 528);
  assertEquals(encoder.keyspaces(new Uint8Array(0)).length, 528);
});

Deno.test("Pipelined requests come off one after the other, a partial one waits", () => {
  const requests = [
    encoder.page(text.encode("ks"), { offset: 5n, length: 2n ** 62n }),
    encoder.key(text.encode("ks"), new Uint8Array(0)),
    encoder.keyspaces(text.encode("after")),
  ];
  const bytes = new Uint8Array(272 + 528 + 528);
  bytes.set(requests[0]!, 0);
  bytes.set(requests[1]!, 272);
  bytes.set(requests[2]!, 800);
  const cursor = new RequestCursor(DEFAULT_SIZES);
  assertEquals(cursor.next(bytes, 0, 271), -1);
  assertEquals(cursor.next(bytes, 0, bytes.length), 272);
  assertEquals([cursor.kind, cursor.offset, cursor.length], ["page", 5, 2 ** 62]);
  assertEquals(cursor.next(bytes, 272, 799), -1);
  assertEquals(cursor.next(bytes, 272, bytes.length), 800);
  assertEquals([cursor.kind, cursor.keyspaceLength, cursor.keyLength], ["key", 2, 0]);
  assertEquals(cursor.next(bytes, 800, bytes.length), 1328);
  assertEquals([cursor.kind, cursor.keyLength], ["keyspaces", 5]);
});

Deno.test("Requests that break a rule are invalid and the stream stays in step", () => {
  const broken = encoder.page(text.encode("ks"), { offset: 0n, length: 1n });
  broken[4] = 1;
  const empty = new Uint8Array(272);
  const cases = [
    broken,
    empty,
    encoder.page(text.encode("ks"), { offset: -1n, length: 1n }),
    encoder.page(text.encode("ks"), { offset: 0n, length: -1n }),
  ];
  const cursor = new RequestCursor(DEFAULT_SIZES);
  for (const bytes of cases) {
    assertEquals([cursor.next(bytes, 0, bytes.length), cursor.kind], [272, "invalid"]);
  }
  for (const which of [0n, 3n, -1n, 2n ** 32n + 1n]) {
    const unknown = encoder.key(text.encode("ks"), text.encode("k"));
    new DataView(unknown.buffer).setBigInt64(264, which, true);
    assertEquals([cursor.next(unknown, 0, 528), cursor.kind], [528, "invalid"]);
  }
});

Deno.test("A client refuses what no request can carry", () => {
  assertThrows(() => encoder.page(new Uint8Array(0), { offset: 0n, length: 1n }), Error, "empty");
  assertThrows(() => encoder.key(new Uint8Array(257).fill(1), new Uint8Array(0)), Error, "long");
  assertThrows(() => encoder.key(new Uint8Array([1]), new Uint8Array([1, 0])), Error, "NUL");
});

Deno.test("Heads and rows come back as they were, errors negative", () => {
  const bytes = new Uint8Array(24);
  for (
    const head of [
      { total: 0, rows: 0, bytes: 0 },
      { total: -22, rows: 0, bytes: 0 },
      { total: 2 ** 53 - 1, rows: 65_536, bytes: 17_000_000 },
      { total: 2 ** 32, rows: 1, bytes: 2 ** 31 },
    ]
  ) {
    encodeReplyHead(new DataView(bytes.buffer), 0, head);
    assertEquals(decodeReplyHead(bytes, 0), head);
    assertEquals(new DataView(bytes.buffer).getBigInt64(0, true), BigInt(head.total));
  }
  const body = new Uint8Array(24);
  const end = encodeRow(body, 0, { low: -1, high: 0x7fffffff, key: text.encode("key") });
  assertEquals(encodeRow(body, end, { low: -3, high: -1, key: new Uint8Array(0) }), 23);
  assertEquals([...decodeRows(body.subarray(0, 23), 2)].map((row) => [row.value, row.key.length]), [
    [2n ** 63n - 1n, 3],
    [-3n, 0],
  ]);
  assertThrows(() => [...decodeRows(body.subarray(0, 22), 2)], RangeError);
  assertThrows(() => [...decodeRows(body, 2)], RangeError);
});

const count = new FullCount("request cursor");

Deno.test("The request cursor equals the plain reader on requests, damaged requests and noise", () => {
  const random = new Random(seedForTest("request cursor"));
  for (const _ of count.rounds(10_000, 200_000)) {
    const sizes = random.chance(0.3)
      ? DEFAULT_SIZES
      : { keyspaceSize: random.between(1, 20), keySize: random.between(1, 20) };
    const bytes = new Uint8Array(sizes.keyspaceSize + 16 + sizes.keySize);
    const view = new DataView(bytes.buffer);
    bytes.fill(0x61, 0, random.between(0, sizes.keyspaceSize));
    bytes.fill(0x62, sizes.keyspaceSize + 16, bytes.length - random.below(sizes.keySize + 1));
    view.setBigInt64(
      sizes.keyspaceSize,
      random.chance(0.5) ? -(2n ** 63n) : random.bigInt64() >> BigInt(random.below(64)),
      true,
    );
    view.setBigInt64(sizes.keyspaceSize + 8, BigInt(random.between(-1, 3)), true);
    if (random.chance(0.3)) bytes[random.below(bytes.length)] = random.below(256);
    if (random.chance(0.1)) bytes.set(random.bytes(bytes.length));

    const lead = random.below(9);
    const buffer = new Uint8Array(lead + bytes.length);
    buffer.set(bytes, lead);
    const expected = readPlainly(bytes, sizes);
    const cursor = new RequestCursor(sizes);
    assertEquals(cursor.next(buffer, lead, lead + expected.size - 1), -1);
    assertEquals(cursor.next(buffer, lead, buffer.length), lead + expected.size);
    assertEquals(cursor.kind, expected.kind);
    if (cursor.kind === "page") {
      assertEquals([cursor.offset, cursor.length], [
        Number(expected.offset),
        Number(expected.length),
      ]);
    }
    if (cursor.kind !== "invalid") {
      const name = buffer.slice(cursor.keyspaceStart, cursor.keyspaceStart + cursor.keyspaceLength);
      assertEquals([...name], expected.keyspace);
    }
    if (cursor.kind === "key" || cursor.kind === "keyspaces") {
      const key = buffer.slice(cursor.keyStart, cursor.keyStart + cursor.keyLength);
      assertEquals([...key], expected.key);
    }
  }
});

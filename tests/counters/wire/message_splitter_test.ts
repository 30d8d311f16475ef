import { assertEquals, assertThrows } from "@std/assert";
import { MessageSplitter } from "../../../src/counters/wire/mod.ts";
import { Random, seedForTest } from "../../support/random.ts";

Deno.test("A message in two segments comes out once, after the second", () => {
  const splitter = new MessageSplitter(520, new Uint8Array(4096));
  const message = Uint8Array.from({ length: 520 }, (_, index) => index);
  splitter.unused().set(message.subarray(0, 300));
  splitter.received(300);
  assertEquals([splitter.wholeEnd - splitter.start, splitter.partialBytes], [0, 300]);
  splitter.unused().set(message.subarray(300));
  splitter.received(220);
  assertEquals(splitter.bytes.slice(splitter.start, splitter.wholeEnd), message);
});

Deno.test("A splitter holds at least one message and whole ones only", () => {
  assertEquals(new MessageSplitter(520, new Uint8Array(520)).bytes.length, 520);
  assertEquals(new MessageSplitter(520, new Uint8Array(1600)).bytes.length, 1560);
  assertThrows(() => new MessageSplitter(520, new Uint8Array(519)));
  assertThrows(() => new MessageSplitter(520, new Uint8Array(520)).received(521));
});

Deno.test("Any segmentation and any pace of consuming give the same messages, each at a multiple of its size", () => {
  const random = new Random(seedForTest("message splitter"));
  for (let round = 0; round < 200; round++) {
    const messageBytes = random.between(1, 40);
    const stream = random.bytes(random.below(40 * messageBytes));
    const splitter = new MessageSplitter(
      messageBytes,
      new Uint8Array(random.between(1, 8) * messageBytes),
    );
    const out: number[] = [];
    let sent = 0;
    while (true) {
      const room = splitter.unused();
      const count = Math.min(random.between(1, 100), room.length, stream.length - sent);
      room.set(stream.subarray(sent, sent + count));
      splitter.received(count);
      sent += count;
      const whole = (splitter.wholeEnd - splitter.start) / messageBytes;
      assertEquals(splitter.start % messageBytes, 0);
      const taken = sent === stream.length ? whole : random.between(0, whole);
      const to = splitter.start + taken * messageBytes;
      out.push(...splitter.bytes.subarray(splitter.start, to));
      splitter.consume(to);
      if (sent === stream.length) break;
    }
    assertEquals(splitter.partialBytes, stream.length % messageBytes);
    assertEquals(out, [...stream.subarray(0, stream.length - splitter.partialBytes)]);
  }
});

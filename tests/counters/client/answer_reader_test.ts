import { assertEquals } from "@std/assert";
import { AnswerReader } from "../../../src/counters/client/answer_reader.ts";
import { encodeTotals } from "../../../src/counters/wire/mod.ts";
import { Random, seedForTest } from "../../support/random.ts";

function readAll(stream: Uint8Array, nextLength: () => number): AnswerReader {
  const reader = new AnswerReader(40);
  for (let at = 0; at < stream.length;) {
    const capacity = reader.capacity();
    const count = Math.min(nextLength(), capacity.length, stream.length - at);
    assertEquals(count > 0, true);
    capacity.set(stream.subarray(at, at + count));
    reader.received(count);
    at += count;
  }
  return reader;
}

Deno.test("Answers in any segmentation are counted, and the last 16 bytes are the totals", () => {
  const random = new Random(seedForTest("answer reader"));
  for (let round = 0; round < 500; round++) {
    const verdicts = Array.from({ length: random.below(30) }, () => random.chance(0.7));
    const accepted = verdicts.filter((good) => good).length;
    const refused = verdicts.length - accepted;
    const totals = { accepted: BigInt(accepted), refused: BigInt(refused) };
    const isSilent = random.chance(0.2);
    const answers = isSilent ? "" : verdicts.map((good) => good ? "WIN" : "NAY").join("");
    const stream = new Uint8Array([
      ...new TextEncoder().encode(answers),
      ...encodeTotals(totals),
    ]);
    const reader = readAll(stream, () => random.between(1, 25));
    assertEquals([reader.accepted, reader.refused], isSilent ? [0, 0] : [accepted, refused]);
    assertEquals(reader.end(verdicts.length), totals);
    // A stream that is cut anywhere is not complete, even if just 16 bytes of answers are left.
    const cut = stream.subarray(0, stream.length - 1 - random.below(stream.length));
    assertEquals(readAll(cut, () => random.between(1, 25)).end(verdicts.length), null);
  }
});

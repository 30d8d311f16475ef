/** Sorting and merging in steps, against the runtime's own sort. */

import { assert, assertEquals } from "@std/assert";
import { mergeSorted, sortInSteps } from "../../src/base/sort_steps.ts";
import { inOneTurn, inTurns, type Steps } from "../../src/base/steps.ts";
import { Random, seedForTest } from "../support/random.ts";

function randomTexts(random: Random, count: number): string[] {
  return Array.from({ length: count }, () => {
    const length = random.below(4);
    return Array.from({ length }, () => String.fromCharCode(random.below(256))).join("");
  });
}

Deno.test("Sorting and merging in steps gives what one sort gives", () => {
  const random = new Random(seedForTest("sort in steps"));
  for (const count of [0, 1, 2, 2047, 2048, 2049, 5000, 20_000]) {
    const texts = randomTexts(random, count);
    const sorted = inOneTurn(sortInSteps(texts));
    assertEquals(sorted, [...texts].sort());
    const others = randomTexts(random, random.below(5000)).sort();
    assertEquals(inOneTurn(mergeSorted(sorted, others)), [...texts, ...others].sort());
  }
});

Deno.test("Long work pauses after its turn, and is told to stop once the signal has fired", async () => {
  let nowMs = 0;
  let pauses = 0;
  const stop = new AbortController();
  const clock = {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    sleep: () => {
      if (++pauses === 3) stop.abort();
      return Promise.resolve();
    },
  };
  function* work(): Steps<number> {
    let steps = 0;
    do {
      steps++;
      nowMs += 4;
    } while (!(yield) && steps < 1000);
    return steps;
  }
  // 12 ms are three steps; the third pause is followed by the stop.
  const steps = await inTurns(work(), { clock, turnMs: 10, signal: stop.signal });
  assertEquals([steps, pauses], [9, 3]);
  assertEquals(inOneTurn(work()), 1000);
  assert(pauses === 3, "one turn has no pause");
});

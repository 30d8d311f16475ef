import { assertEquals } from "@std/assert";
import { Progress, progressText } from "../../../src/counters/client/mod.ts";
import { systemClock } from "../../../src/base/clock.ts";

Deno.test("Progress shows the part of the bytes that is sent, the lines, and the lines a second", () => {
  const state = { bytes: 50, bytesTotal: 100, lines: 1_200_000 };
  assertEquals(
    progressText(state, 2000),
    "[############------------]  50%  1,200,000 lines  600,000/s",
  );
  assertEquals(progressText({ ...state, bytesTotal: null }, 0), "1,200,000 lines  0/s");
});

Deno.test("Progress draws ten times a second at most and clears its line", () => {
  let nowMs = 0;
  const written: string[] = [];
  const clock = { ...systemClock, nowMs: () => nowMs };
  const progress = new Progress((text) => written.push(text), clock);
  progress.clear();
  for (nowMs = 0; nowMs < 250; nowMs += 10) {
    progress.update({ bytes: nowMs, bytesTotal: null, lines: nowMs });
  }
  progress.clear();
  assertEquals(written, ["\r100 lines  1,000/s\x1b[K", "\r200 lines  1,000/s\x1b[K", "\r\x1b[K"]);
});

/** How connections share the event loop: slices, turns, and their order. */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { LoopSlice, LoopTurn } from "../../src/net/loop_turn.ts";
import { watchLoop } from "../../src/net/loop_watch.ts";
import { waitUntil } from "../support/wait.ts";

const LITTLE = 272;
const MUCH = 65_536;

/** A turn whose processor time the test sets; other programs may have the processor for a while, too. */
function turnAt(metrics = new Metrics()) {
  const time = { ms: 0, othersMs: 0 };
  const clock: Clock = {
    ...systemClock,
    nowMs: () => systemClock.nowMs() + time.ms + time.othersMs,
  };
  const turn = new LoopTurn({ clock, metrics }, () => time.ms);
  const work = (slice: LoopSlice, ms: number, othersMs = 0) => {
    slice.begin();
    time.ms += ms;
    time.othersMs += othersMs;
    const { isUsedUp } = slice;
    slice.end();
    return isUsedUp;
  };
  return { turn, work, longest: metrics.gauge("countd_event_loop_turn_seconds") };
}

Deno.test("Work is cut after 5 ms of processor time, and no slice begins that does not fit into a turn", async () => {
  const { turn, work, longest } = turnAt();
  using _ = turn;
  const slice = new LoopSlice(turn);
  await slice.received(MUCH);
  assertEquals([work(slice, 4), work(slice, 0.9), work(slice, 0.2)], [false, false, true]);
  await slice.giveWay();
  assertEquals(work(slice, 4.9), false);
  const others = Array.from({ length: 3 }, () => new LoopSlice(turn));
  // The turn has some 10 ms left for others: two slices, and the third waits for the next turn.
  let order = "";
  await Promise.all(others.map(async (other, index) => {
    await other.received(MUCH);
    order += index;
    work(other, 5);
  }));
  assertEquals(order, "012");
  assert(longest.value <= 0.015, String(longest.value));
  work(slice, 40);
  assert(longest.value >= 0.040, String(longest.value));
});

Deno.test("Work that other programs interrupt is not cut, and counts as what the thread did", async () => {
  const { turn, work, longest } = turnAt();
  using _ = turn;
  const slice = new LoopSlice(turn);
  await slice.received(LITTLE);
  assertEquals([work(slice, 0.5, 30), work(slice, 0.4, 30)], [false, false]);
  await slice.received(LITTLE);
  assertEquals(work(slice, 0.5, 30), false);
  assert(longest.value < 0.005, String(longest.value));
});

Deno.test("Slices that end early leave their time to others without a check of the sockets", async () => {
  const { turn, work } = turnAt();
  using _ = turn;
  let order = "";
  const receive = (index: number) => async () => {
    const slice = new LoopSlice(turn);
    await slice.received(MUCH);
    order += index;
    work(slice, 1);
  };
  await Promise.all(Array.from({ length: 8 }, (_, index) => receive(index)()));
  assertEquals([order, turn.number], ["01234567", 0]);
  await Promise.all(Array.from({ length: 8 }, (_, index) => receive(index)()));
  assertEquals([order, turn.number], ["0123456701234567", 1]);
});

Deno.test("A promise that is not used in time is void", async () => {
  // Story: those that were promised time and waited for input kept their promises, and all began in one turn.
  const { turn, work, longest } = turnAt();
  using _ = turn;
  const slices = Array.from({ length: 60 }, () => new LoopSlice(turn));
  await Promise.all(slices.map(async (slice) => {
    await slice.received(MUCH);
    work(slice, 0.1);
    await slice.giveWay();
  }));
  longest.value = 0;
  await Promise.all(slices.map(async (slice) => {
    await slice.giveWay();
    work(slice, 4);
  }));
  assert(longest.value <= 0.016, String(longest.value));
});

Deno.test("A peer that asks little waits for one turn, however many others send much", async () => {
  const { turn, work } = turnAt();
  using _ = turn;
  let isOver = false;
  let slices = 0;
  const greedy = Array.from({ length: 200 }, async () => {
    const slice = new LoopSlice(turn);
    while (!isOver) {
      // Half of them are cut, the others have answered all that they had received.
      await slice.received(MUCH);
      work(slice, slices % 2 === 0 ? 5 : 2);
      slices++;
      await slice.giveWay();
    }
  });
  await waitUntil("the greedy ones", () => slices > 200);
  for (let round = 0; round < 20; round++) {
    const before = slices;
    const good = new LoopSlice(turn);
    await good.received(LITTLE);
    work(good, 0.1);
    assert(slices - before <= 6, `${slices - before} slices of others came first`);
  }
  // Those that ask little do not stop the others.
  let quick = 0;
  const small = Array.from({ length: 50 }, async () => {
    while (!isOver) {
      const slice = new LoopSlice(turn);
      await slice.received(LITTLE);
      work(slice, 0.9);
      quick++;
      await turn.next({ isQuick: true });
    }
  });
  const [slicesThen, quickThen] = [slices, quick];
  await waitUntil("both", () => slices - slicesThen > 20 && quick - quickThen > 100);
  isOver = true;
  await Promise.all([...greedy, ...small]);
});

Deno.test("A peer that asks little, but what takes long, is not quick for a while", async () => {
  const { turn, work } = turnAt();
  using _ = turn;
  const slice = new LoopSlice(turn);
  await slice.received(LITTLE);
  assertEquals([work(slice, 0.9), work(slice, 0.2)], [false, true]);
  await slice.giveWay();
  assertEquals([work(slice, 4.8), work(slice, 0.3)], [false, true]);
  await slice.received(LITTLE);
  // As one of the others it may work for 5 ms.
  assertEquals(work(slice, 4.9), false);
  await systemClock.sleep(600);
  await slice.received(LITTLE);
  assertEquals(work(slice, 1.1), true);
});

Deno.test("A loop that is held for long is reported, with its time", async () => {
  const metrics = new Metrics();
  const said: unknown[] = [];
  using _ = watchLoop({
    clock: systemClock,
    metrics,
    events: {
      report: (_level, event, fields) => void said.push([event, Object.keys(fields ?? {})]),
    },
  });
  await systemClock.sleep(150);
  const endMs = performance.now() + 600;
  while (performance.now() < endMs);
  await waitUntil("the event", () => said.length > 0);
  assertEquals(said[0], ["event loop was held: clients waited", ["held_ms", "processor_ms"]]);
  // The machine may do other work at the same time.
  assert(metrics.gauge("countd_event_loop_turn_seconds").value > 0.05);
});

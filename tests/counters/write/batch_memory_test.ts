/** The memory for long batches: few large pieces, and connections that wait for one. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { BatchMemory, type PieceHolder } from "../../../src/counters/write/batch_memory.ts";
import { BatchPace } from "../../../src/counters/write/batch_pace.ts";

const mebibyte = 1024 * 1024;

/** A holder, and how often its connection was ended. */
class Holder implements PieceHolder {
  closed = 0;
  readonly pace = new BatchPace();
  lateMs(nowMs: number): number {
    return this.pace.lateMs(nowMs);
  }
  close(): void {
    this.closed++;
  }
}

/** Memory with all of its large pieces in hand, and a clock that the test moves. */
function usedUp() {
  const late: number[] = [];
  let nowMs = 0;
  const ticks: (() => void)[] = [];
  const clock = {
    ...systemClock,
    nowMs: () => nowMs,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal?.aborted) return resolve();
        signal?.addEventListener("abort", () => resolve());
        ticks.push(resolve);
      }),
  };
  const memory = new BatchMemory(clock, (lateMs) => late.push(lateMs));
  const holders = Array.from({ length: 64 }, () => new Holder());
  const pieces = holders.map((holder) => memory.largerThan(new Uint8Array(1), mebibyte, holder)!);
  assertEquals(new Set(pieces).size, 64);
  return {
    memory,
    holders,
    pieces,
    late,
    /** The peer sends so many bytes, and the next read begins. */
    receive(holder: Holder, bytes: number) {
      holder.pace.end(bytes, nowMs);
      holder.pace.begin(nowMs);
    },
    async passMs(ms: number) {
      nowMs += ms;
      for (const tick of ticks.splice(0)) tick();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

Deno.test("Connections that wait for a large piece get it in their order, before others", async () => {
  const { memory, pieces } = usedUp();
  const got: string[] = [];
  const waits = ["first", "second"].map(async (name) => {
    const piece = await memory.large(new Holder());
    assertEquals(piece.length, mebibyte);
    got.push(name);
    return piece;
  });
  assert(memory.isWanted);
  // A middling piece costs those that wait nothing.
  const larger = (wantedBytes: number) =>
    memory.largerThan(new Uint8Array(32 * 1024), wantedBytes, new Holder())?.length;
  assertEquals([larger(24), larger(128 * 1024)], [128 * 1024, 128 * 1024]);
  assertEquals(larger(128 * 1024 + 1), undefined);
  memory.release(pieces[0]!, { isReadInto: false });
  const [first] = await Promise.all([waits[0]]);
  assertEquals([got, memory.isWanted], [["first"], true]);
  memory.release(pieces[1]!, { isReadInto: true });
  assert(await waits[1] !== first);
  assertEquals([got, memory.isWanted], [["first", "second"], false]);
});

Deno.test("While others wait, a peer that is in a long batch and sends nothing is disconnected", async () => {
  const { memory, holders, pieces, late, receive, passMs } = usedUp();
  for (const holder of holders) receive(holder, 0);
  await passMs(60_000);
  assertEquals(holders.reduce((sum, { closed }) => sum + closed, 0), 0);
  // What others of them send keeps them from being late for long.
  for (const holder of holders) receive(holder, 64 * mebibyte);
  await passMs(1);
  for (const holder of holders.slice(4)) receive(holder, 1);
  receive(holders[2]!, 1);
  const waiting = memory.large(new Holder());
  // One waits for space in a log, and is not to blame.
  holders[1]!.pace.end(1, 60_001);
  await passMs(4998);
  assertEquals(late, []);
  await passMs(1);
  assertEquals(holders.map(({ closed }) => closed).slice(0, 4), [1, 0, 0, 0]);
  for (const holder of holders.slice(4)) receive(holder, 1);
  receive(holders[2]!, 1);
  await passMs(1000);
  assertEquals(holders.map(({ closed }) => closed).slice(0, 4), [1, 0, 0, 1]);
  assertEquals(late, [5000, 6000]);
  assertEquals(holders.reduce((sum, { closed }) => sum + closed, 0), 2);
  memory.release(pieces[0]!, { isReadInto: true });
  assertEquals((await waiting).length, mebibyte);
});

Deno.test("While others wait, a peer whose batch comes by single bytes is disconnected", async () => {
  const { memory, holders, pieces, late, receive, passMs } = usedUp();
  for (const holder of holders) {
    holder.pace.restart(128 * 1024);
    receive(holder, 0);
  }
  // All but the first send 64 KiB a second: the least that is enough.
  const passSecond = async () => {
    await passMs(1000);
    for (const [index, holder] of holders.entries()) receive(holder, index === 0 ? 1 : 64 * 1024);
  };
  const waiting = memory.large(new Holder());
  // 5 s, and 2 s for what was there.
  for (let second = 1; second <= 7; second++) {
    await passSecond();
    assertEquals([second, late], [second, []]);
  }
  await passSecond();
  assertEquals(holders.map(({ closed }) => closed), holders.map((_, index) => index === 0 ? 1 : 0));
  memory.release(pieces[0]!, { isReadInto: true });
  assertEquals((await waiting).length, mebibyte);
  await passMs(60_000);
  assertEquals(late.length, 1);
});

Deno.test("A batch is late by the time of its own reads alone", () => {
  const pace = new BatchPace();
  pace.begin(0);
  pace.end(64 * 1024, 9000);
  // The peer is not read, and is not late.
  assertEquals(pace.lateMs(60_000), 0);
  pace.begin(60_000);
  assertEquals(pace.lateMs(60_500), 8500);
  pace.end(1, 60_500);
  pace.restart(64 * 1024);
  pace.begin(70_000);
  assertEquals(pace.lateMs(70_500), 500);
  pace.end(0, 71_500);
  pace.begin(71_500);
  assertEquals(pace.lateMs(72_000), 1000);
});

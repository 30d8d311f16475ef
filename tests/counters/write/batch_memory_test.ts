/** The memory for long batches: few large pieces, and connections that wait for one. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { BatchMemory, type PieceHolder } from "../../../src/counters/write/batch_memory.ts";

const mebibyte = 1024 * 1024;

/** A holder, and how often its connection was ended. */
class Holder implements PieceHolder {
  closed = 0;
  activeMs = 0;
  isWaiting = true;
  close(): void {
    this.closed++;
  }
}

/** Memory with all of its large pieces in hand, and a clock that the test moves. */
function usedUp() {
  const still: number[] = [];
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
  const memory = new BatchMemory(clock, (stillMs) => still.push(stillMs));
  const holders = Array.from({ length: 64 }, () => new Holder());
  const pieces = holders.map((holder) => memory.largerThan(new Uint8Array(1), holder)!);
  assertEquals(new Set(pieces).size, 64);
  return {
    memory,
    holders,
    pieces,
    still,
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
  // A middling piece costs others nothing, but those that wait come first.
  assertEquals(memory.largerThan(new Uint8Array(1), new Holder()), null);
  memory.release(pieces[0]!, { isReadInto: false });
  const [first] = await Promise.all([waits[0]]);
  assertEquals([got, memory.isWanted], [["first"], true]);
  memory.release(pieces[1]!, { isReadInto: true });
  assert(await waits[1] !== first);
  assertEquals([got, memory.isWanted], [["first", "second"], false]);
});

Deno.test("While others wait, a peer that is in a long batch and sends nothing is disconnected", async () => {
  const { memory, holders, pieces, still, passMs } = usedUp();
  await passMs(60_000);
  assertEquals(holders.reduce((sum, { closed }) => sum + closed, 0), 0);
  for (const holder of holders) holder.activeMs = 60_001;
  holders[0]!.activeMs = holders[1]!.activeMs = holders[3]!.activeMs = 60_000;
  const waiting = memory.large(new Holder());
  // One sends, another waits for space in a log and is not to blame.
  holders[1]!.isWaiting = false;
  await passMs(4999);
  assertEquals(still, []);
  await passMs(1);
  assertEquals(holders.map(({ closed }) => closed).slice(0, 4), [1, 0, 0, 0]);
  await passMs(1000);
  assertEquals(holders.map(({ closed }) => closed).slice(0, 4), [1, 0, 0, 1]);
  assertEquals(still, [5000, 6000]);
  memory.release(pieces[0]!, { isReadInto: true });
  assertEquals((await waiting).length, mebibyte);
});

/** Tailers. */

import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  Aof,
  type Consumer,
  FileState,
  PollReason,
  Reactor,
  type ReadEvent,
  STOP_TAILING,
  TailerState,
} from "../../src/aof/mod.ts";
import { systemClock } from "../../src/base/clock.ts";
import { UsageError } from "../../src/base/errors.ts";
import { Random, seedForTest } from "../support/random.ts";
import { waitUntil } from "../support/wait.ts";
import {
  concat,
  creating,
  dataOf,
  Recorder,
  storage,
  text,
  textOf,
  turns,
  withFile,
} from "./support.ts";

Deno.test("A slow tailer sees every byte once and in order", async () => {
  const random = new Random(seedForTest("tailer order"));
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating(2 ** 21) });
    const parts: Uint8Array[] = [];
    let position = 0;
    const slow = new Recorder((event) => {
      assertEquals(event.begin, position);
      // It takes a part of what it is given, and in some turns nothing.
      const taken = random.below(Math.min(event.end - event.begin, 500) + 1);
      parts.push(event.tail.slice(0, taken));
      return position = event.begin + taken;
    });
    aof.subscribe(slow);
    for (let count = 0; count < 10_000; count++) {
      aof.write(random.bytes(random.between(1, 60)));
      if (random.chance(0.01)) await turns(1);
    }
    await waitUntil("the tailer to reach the end", () => position === aof.size);
    assertEquals(concat(...parts), dataOf(aof));
  });
});

Deno.test("What one turn of the event loop appends comes as one event", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const recorder = new Recorder();
    aof.subscribe(recorder);
    await turns();
    for (let count = 0; count < 100; count++) aof.write(text("x"));
    assertEquals(recorder.seen.length, 0);
    await turns();
    assertEquals(recorder.seen.map(({ begin, end }) => [begin, end]), [[0, 100]]);
  });
});

Deno.test("A tailer that takes one byte is called again without a new write", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("abc"));
    const recorder = new Recorder((event) => event.begin + 1);
    const tailer = aof.subscribe(recorder);
    await waitUntil("all three bytes", () => tailer.position === 3);
    assertEquals(recorder.seen.map(({ text }) => text), ["abc", "bc", "c"]);
    assertEquals(recorder.seen.map(({ reason }) => reason), [
      PollReason.Start,
      PollReason.Wake,
      PollReason.Wake,
    ]);
    assertEquals(tailer.state(), TailerState.Tail);
  });
});

Deno.test("A tailer that returns 0 reads from the start again", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("abc"));
    let rewinds = 0;
    const recorder = new Recorder((event) => rewinds++ === 0 ? 0 : event.end);
    aof.subscribe(recorder);
    await turns();
    assertEquals(recorder.seen.map(({ text }) => text), ["abc", "abc"]);
  });
});

Deno.test("Positions outside the file are clamped to it", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("abc"));
    const returned = [-7, 99];
    const recorder = new Recorder((event) => returned.shift() ?? event.end);
    const tailer = aof.subscribe(recorder);
    await turns();
    assertEquals(recorder.seen.map(({ begin, end }) => [begin, end]), [[0, 3], [0, 3]]);
    assertEquals(tailer.position, 3);
  });
});

Deno.test("Finish brings exactly one EOF event, also to those that come later", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const early = new Recorder();
    const tailer = aof.subscribe(early);
    aof.write(text("data"));
    await turns();
    assertEquals(early.seen.filter(({ eof }) => eof), []);
    aof.finish();
    await turns();
    for (let wake = 0; wake < 3; wake++) {
      aof.wake();
      await turns();
    }
    assertEquals(early.seen.map(({ text, eof }) => [text, eof]), [["data", false], ["", true]]);
    assertEquals(tailer.state(), TailerState.Eof);
    assertEquals(tailer.state().valueOf(), 4);
    const late = new Recorder();
    aof.subscribe(late);
    await turns();
    assertEquals(late.seen.map(({ text, eof }) => [text, eof]), [["data", false], ["", true]]);
  });
});

Deno.test("A slow tailer reads everything before its EOF event, and none is lost", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const recorder = new Recorder((event) => event.eof ? event.end : event.begin + 1);
    aof.subscribe(recorder);
    aof.write(text("0123456789"));
    aof.finish();
    await waitUntil("EOF", () => recorder.seen.some(({ eof }) => eof));
    await turns();
    assertEquals(recorder.seen.filter(({ eof }) => eof).length, 1);
    assertEquals(recorder.seen.at(-1), { begin: 10, end: 10, text: "", eof: true, reason: 1 });
    assertEquals(recorder.seen.length, 11);
  });
});

Deno.test("A tailer that goes back from EOF reads again and gets no second EOF event", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("ab"));
    aof.finish();
    const recorder = new Recorder((event) => event.eof ? 0 : event.end);
    const tailer = aof.subscribe(recorder);
    await turns(8);
    assertEquals(recorder.seen.map(({ text, eof }) => [text, eof]), [
      ["ab", false],
      ["", true],
      ["ab", false],
    ]);
    assertEquals(tailer.state(), TailerState.Eof);
  });
});

Deno.test("Closing a tailer or its file calls back once with the reason", async () => {
  await withFile(async (path) => {
    const aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("data"));
    const recorders = [new Recorder(), new Recorder(), new Recorder(() => STOP_TAILING)];
    const tailers = recorders.map((recorder) => aof.subscribe(recorder));
    tailers[0]?.close();
    tailers[0]?.close();
    await turns();
    aof.close();
    assertEquals(recorders.map(({ closed }) => closed.map(({ reason }) => reason)), [
      ["stop"],
      ["closed"],
      ["closed"],
    ]);
    recorders.forEach(({ closed }, index) => assertEquals(closed[0]?.tailer, tailers[index]));
    assertEquals(tailers.map((tailer) => tailer.state()), [6, 6, 6]);
    // One that was closed before its first turn was never given anything.
    assertEquals(recorders[0]?.seen, []);
    assertEquals(aof.state, FileState.Closed);
    await turns();
  });
});

Deno.test("A file that is closed inside a consumer is released when the consumer returns", async () => {
  await withFile(async (path) => {
    const aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("data"));
    const order: string[] = [];
    const consumer: Consumer = {
      pollRead(event) {
        aof.close();
        order.push(`${textOf(event.tail)} ${TailerState[event.tailer.state()]} ${aof.state}`);
        return event.end;
      },
      pollReadClosed: ({ reason }) => void order.push(String(reason)),
    };
    aof.subscribe(consumer);
    await aof.closed;
    assertEquals(order, ["data Closing 3", "closed"]);
    assertEquals(aof.state, FileState.Closed);
  });
});

Deno.test("A consumer that throws keeps its position and is called again at the next wake", async () => {
  await withFile(async (path) => {
    const errors: unknown[] = [];
    using reactor = new Reactor({ onError: (error) => errors.push(error) });
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("a"));
    let failing = true;
    const recorder = new Recorder((event) => {
      if (failing) throw new RangeError("not now");
      return event.end;
    });
    const tailer = aof.subscribeOn(reactor, recorder);
    await turns();
    assertEquals([recorder.seen.length, tailer.position], [1, 0]);
    assertInstanceOf(tailer.error, RangeError);
    assertEquals(errors, [tailer.error]);
    await turns();
    assertEquals(recorder.seen.length, 1);
    failing = false;
    aof.write(text("b"));
    await turns();
    assertEquals(recorder.seen.at(-1)?.text, "ab");
    assertEquals([tailer.position, tailer.error], [2, null]);
  });
});

Deno.test("An EOF event that its consumer threw at comes again", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    let throws = 1;
    const recorder = new Recorder((event) => {
      if (event.eof && throws-- > 0) throw new Error("not now");
      return event.end;
    });
    aof.subscribe(recorder);
    aof.finish();
    await turns();
    aof.wake();
    await turns();
    aof.wake();
    await turns();
    assertEquals(recorder.seen.map(({ eof }) => eof), [true, true]);
  });
});

Deno.test("A returned value that is not a position is an error of the consumer", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("a"));
    for (const wrong of [NaN, undefined]) {
      const tailer = aof.subscribe(new Recorder(() => wrong as number));
      await turns();
      assertInstanceOf(tailer.error, UsageError);
      assertEquals(tailer.position, 0);
      tailer.close();
    }
  });
});

Deno.test("An interval tailer is polled without writes, for the reason interval", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const times: number[] = [];
    const recorder = new Recorder((event) => {
      times.push(event.timeMs);
      return event.end;
    });
    const startMs = systemClock.nowMs();
    using tailer = aof.subscribeInterval(recorder, { intervalMs: 50 });
    await waitUntil("four polls", () => recorder.seen.length >= 4);
    assertEquals(new Set(recorder.seen.map(({ reason }) => reason)), new Set([2]));
    // A loaded machine may be late; a timer is never early by more than its own grain.
    times.forEach((timeMs, poll) => assert(timeMs - startMs >= (poll + 1) * 50 - 5));
    assertEquals(tailer.state(), TailerState.Tail);
    aof.write(text("now"));
    await waitUntil("the write", () => recorder.text === "now");
  });
});

Deno.test("If one of many tailers closes inside its callback, the others miss nothing", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const recorders = Array.from({ length: 16 }, (_, index) =>
      new Recorder((event) => {
        if (index === 7) event.tailer.close();
        return event.end;
      }));
    for (const recorder of recorders) aof.subscribe(recorder);
    for (let count = 0; count < 5; count++) {
      aof.write(text(`part ${count};`));
      await turns(2);
    }
    recorders.forEach((recorder, index) => {
      if (index === 7) {
        assertEquals([recorder.text, recorder.closed[0]?.reason], ["part 0;", "stop"]);
      } else assertEquals(recorder.text, textOf(dataOf(aof)));
    });
  });
});

Deno.test("A tailer starts in state start, and may start anywhere", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("abcdef"));
    const recorder = new Recorder();
    const tailer = aof.subscribe(recorder, { from: 4 });
    assertEquals(tailer.state(), TailerState.Start);
    const ahead = new Recorder();
    aof.subscribe(ahead, { from: 8 });
    await turns();
    assertEquals([recorder.text, ahead.text], ["ef", ""]);
    aof.write(text("ghij"));
    await turns();
    assertEquals([recorder.text, ahead.text], ["efghij", "ij"]);
    assertEquals(
      [1, 2, 3, 4, 5, 6].map((state) => TailerState[state]),
      ["Start", "Reading", "Tail", "Eof", "Closing", "Closed"],
    );
  });
});

Deno.test("Events show the whole file up to the size and no more", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("abc"));
    aof.write(text("def"));
    let contents = "";
    let fileState = -1;
    aof.subscribe(
      new Recorder((event: ReadEvent) => {
        contents = textOf(event.contents());
        fileState = event.fileState;
        return event.end;
      }),
      { from: 3 },
    );
    await turns();
    assertEquals([contents, fileState], ["abcdef", FileState.Opened]);
  });
});

Deno.test("Subscribing without a consumer, a reactor or a place is refused", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const nothing = null as never;
    assertThrows(() => aof.subscribe(nothing), UsageError, "consumer");
    assertThrows(() => aof.subscribeOn(nothing, new Recorder()), UsageError, "reactor");
    assertThrows(() => aof.subscribe(new Recorder(), { from: -1 }), UsageError, "from -1");
    assertThrows(
      () => aof.subscribeInterval(new Recorder(), { intervalMs: 0 }),
      UsageError,
      "every 0 ms",
    );
  });
});

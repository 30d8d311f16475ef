/** The reactor, and tailers that fail. */

import { assertEquals, assertThrows } from "@std/assert";
import { Aof, ErrClosed, FileState, PollReason, Reactor, Tailer } from "../../src/aof/mod.ts";
import { waitUntil } from "../support/wait.ts";
import { creating, Recorder, storage, text, turns, withFile } from "./support.ts";

Deno.test("One reactor serves files of many, and after its close none is taken on", async () => {
  await withFile(async (path) => {
    const reactor = new Reactor();
    using first = Aof.open(storage, path, { geometry: creating() });
    using second = Aof.anonymous("memory", 4096);
    const recorders = [new Recorder(), new Recorder()];
    first.subscribeOn(reactor, recorders[0] as Recorder);
    second.subscribeIntervalOn(reactor, recorders[1] as Recorder, { intervalMs: 5 });
    first.write(text("one"));
    second.write(text("two"));
    await waitUntil("both", () => recorders.every((recorder) => recorder.text.length === 3));
    assertEquals(reactor.size, 2);
    reactor.close();
    const seen = recorders.map((recorder) => recorder.seen.length);
    first.write(text("more"));
    await turns(20);
    assertEquals(recorders.map((recorder) => recorder.seen.length), seen);
    assertThrows(() => first.subscribeOn(reactor, new Recorder()), ErrClosed);
  });
});

Deno.test("A reactor polls a task once however often it is woken, and tells what it throws", async () => {
  const errors: unknown[] = [];
  using reactor = new Reactor({ onError: (error) => errors.push(error) });
  const reasons: PollReason[] = [];
  const task = {
    poll({ reason }: { reason: PollReason }) {
      reasons.push(reason);
      if (reasons.length === 2) throw new Error("second");
    },
  };
  reactor.wake(task);
  await turns();
  assertEquals(reasons, []);
  reactor.spawn(task);
  reactor.wake(task);
  await turns();
  assertEquals(reasons, [PollReason.Start]);
  for (let wake = 0; wake < 5; wake++) reactor.wake(task);
  await turns();
  assertEquals(reasons, [PollReason.Start, PollReason.Wake]);
  assertEquals(errors.map(String), ["Error: second"]);
  reactor.remove(task);
  reactor.wake(task);
  await turns();
  assertEquals(reasons.length, 2);
});

Deno.test("A tailer whose source cannot be read any more is closed with the error", async () => {
  const failure = new RangeError("gone");
  const source = {
    path: "x",
    bytes: new Uint8Array(),
    size: 0,
    state: FileState.Opened,
    refresh: () => {
      throw failure;
    },
    forget: () => {},
  };
  using reactor = new Reactor();
  const recorder = new Recorder();
  const tailer = new Tailer(source, { consumer: recorder, reactor, position: 0 });
  reactor.spawn(tailer);
  await turns();
  assertEquals(recorder.closed, [{ tailer, reason: failure }]);
  assertEquals(reactor.size, 0);
});

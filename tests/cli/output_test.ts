import { assertEquals, assertThrows } from "@std/assert";
import { noEvents } from "../../src/base/events.ts";
import { EventLines, logfmt } from "../../src/cli/event_lines.ts";
import { MessageSink } from "../../src/cli/message_sink.ts";
import { BrokenPipe, Output } from "../../src/cli/output.ts";
import { ArraySink } from "./capture.ts";

const clock = {
  nowMs: () => 0,
  wallMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  sleep: async () => {},
};

Deno.test("Output to a pipe is buffered, and all of it comes in order", () => {
  const sink = new ArraySink();
  const output = new Output(sink, false);
  let expected = "";
  for (let line = 0; line < 20_000; line++) {
    output.line(`line ${line}`);
    expected += `line ${line}\n`;
  }
  output.write("x".repeat(200_000));
  output.flush();
  assertEquals(sink.text, expected + "x".repeat(200_000));
  assertEquals(sink.chunks.length < 20, true);
});

Deno.test("Output to a terminal comes at once", () => {
  const sink = new ArraySink(true);
  new Output(sink, false).write("prompt> ");
  assertEquals(sink.text, "prompt> ");
});

Deno.test("A sink that accepts one byte at a time gets everything", () => {
  const bytes: number[] = [];
  const output = new Output({
    writeSync: (chunk) => {
      bytes.push(chunk[0] as number);
      return 1;
    },
    isTerminal: () => false,
  }, false);
  output.write("abc");
  output.flush();
  assertEquals(bytes, [97, 98, 99]);
});

Deno.test("Output waits for a sink that accepts nothing for a while", () => {
  const taken: number[] = [];
  let refusals = 3;
  const output = new Output({
    writeSync: (chunk) => {
      if (refusals-- > 0) throw new Deno.errors.WouldBlock("full");
      taken.push(...chunk);
      return chunk.length;
    },
    isTerminal: () => false,
  }, false);
  output.write("abc");
  output.flush();
  assertEquals(taken, [97, 98, 99]);
});

Deno.test("Names go byte for byte into a pipe and printable onto a terminal", () => {
  const name = Uint8Array.of(0x1b, 0x41, 0xff);
  const pipe = new ArraySink();
  const output = new Output(pipe, false);
  output.name(name);
  output.flush();
  assertEquals(pipe.chunks, [name]);
  const terminal = new ArraySink(true);
  new Output(terminal, false).name(name);
  assertEquals(terminal.text, "\\x1bA\\xff");
});

Deno.test("Colour is used only on a terminal and without NO_COLOR", () => {
  assertEquals(new Output(new ArraySink(true), false).hasColor, true);
  assertEquals(new Output(new ArraySink(true), true).hasColor, false);
  assertEquals(new Output(new ArraySink(false), false).hasColor, false);
});

Deno.test("Every write throws BrokenPipe after the reader has gone", () => {
  const sink = {
    writeSync: () => {
      throw new Deno.errors.BrokenPipe("gone");
    },
    isTerminal: () => true,
  };
  const output = new Output(sink, false);
  assertThrows(() => output.write("a"), BrokenPipe);
  assertThrows(() => output.write("b"), BrokenPipe);
  noEvents.report("info", "nothing");
});

// Story: the event "disk full" went to a log file on the same disk. The writer took the ENOSPC of that line
// for a failure of its own and ended, although it should have waited for space.
Deno.test("An event that cannot be written to stderr is lost, and the next one is tried", () => {
  const kept = new ArraySink();
  let error: Error | null = null;
  const sink = new MessageSink({
    writeSync: (bytes) => {
      if (error !== null) throw error;
      return kept.writeSync(bytes);
    },
    isTerminal: () => false,
  });
  const lines = new EventLines(new Output(sink, false), clock, "logfmt");
  for (
    error of [
      new Error("No space left on device (os error 28)"),
      new Deno.errors.BrokenPipe("gone"),
      null,
    ]
  ) {
    lines.report("info", error === null ? "space again" : "disk full");
  }
  assertEquals(kept.text, 'time=2026-01-02T03:04:05.006Z level=info event="space again"\n');
});

Deno.test("A command waits for a stderr that accepts nothing now, and loses nothing", () => {
  let refusals = 2;
  const kept = new ArraySink();
  const sink = new MessageSink({
    writeSync: (bytes) => {
      if (refusals-- > 0) throw new Deno.errors.WouldBlock("full");
      return kept.writeSync(bytes);
    },
    isTerminal: () => false,
  });
  new EventLines(new Output(sink, false), clock, "json").report("info", "said");
  assertEquals(kept.text.includes('"said"'), true);
});

Deno.test("Lines that the stderr of a daemon does not accept are counted and reported once", () => {
  let room = 0;
  let taken = "";
  const sink = new MessageSink(new ArraySink());
  sink.stopWaiting({
    writeNow: (bytes) => {
      const count = Math.min(room, bytes.length);
      taken += new TextDecoder().decode(bytes.subarray(0, count));
      room -= count;
      return count;
    },
    lostLine: (lines) => `lost ${lines}`,
  });
  const output = new Output(sink, false);
  const say = (line: string) => {
    output.line(line);
    output.flush();
  };
  say("one");
  say("two");
  assertEquals(taken, "");
  room = 10;
  say("three");
  assertEquals(taken, "lost 2\nthr");
  say("four");
  room = 100;
  sink.tellLost();
  sink.tellLost();
  assertEquals(taken, "lost 2\nthree\nlost 1\n");
  say("five");
  assertEquals(taken, "lost 2\nthree\nlost 1\nfive\n");
});

Deno.test("An event is one line of logfmt or JSON", () => {
  for (
    const [format, expected] of [
      [
        "logfmt",
        'time=2026-01-02T03:04:05.006Z level=warn event="disk full" slot=3 path="a b" bytes=12\n',
      ],
      [
        "json",
        '{"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"disk full","slot":3,' +
        '"path":"a b","bytes":"12"}\n',
      ],
    ] as const
  ) {
    const sink = new ArraySink();
    const lines = new EventLines(new Output(sink, false), clock, format);
    lines.report("warn", "disk full", { slot: 3, path: "a b", bytes: 12n });
    assertEquals(sink.text, expected);
  }
});

Deno.test("A value cannot break its line or its quotes", () => {
  assertEquals(
    logfmt({ a: 'x"y', b: "l\nm", c: "", d: "p=q", e: true }),
    [
      'a="x\\"y"',
      'b="l\\nm"',
      'c=""',
      'd="p=q"',
      "e=true",
    ].join(" "),
  );
});

Deno.test("Colour marks a warning on a terminal only", () => {
  const sink = new ArraySink(true);
  new EventLines(new Output(sink, false), clock, "logfmt").report("error", "x");
  assertEquals(sink.text.startsWith("\x1b[31m") && sink.text.endsWith("\x1b[0m\n"), true);
});

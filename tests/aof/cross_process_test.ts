/** Tailers of other processes: a writer and three readers, one of which is killed and goes on. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Aof,
  createFile,
  ErrFileIsReadOnly,
  ErrShrink,
  FileState,
  Geometry,
  inspect,
  TailerState,
} from "../../src/aof/mod.ts";
import { BusyError, CorruptError, NotFoundError } from "../../src/base/errors.ts";
import { NewerFormatError } from "../../src/base/format.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import type { CountdProcess } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { startChild } from "./start_child.ts";
import {
  assertChecks,
  creating,
  dataOf,
  Recorder,
  storage,
  text,
  textOf,
  turns,
  withFile,
} from "./support.ts";

const follow = new FullCount("records that processes follow");
const portions = 12;
const deadlineMs = follow.isLong ? 600_000 : 120_000;

Deno.test("Three processes that follow a writer see every byte once and in order, one after a kill", async () => {
  const random = new Random(seedForTest("cross-process"));
  for (const records of follow.sizes(300_000, 10_000_000)) await followAll(random, records);
});

async function followAll(random: Random, records: number): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/log`;
    await using writer = startChild("write", path, random.next32(), records, portions);
    await writer.stdoutLine(/^ready$/, { deadlineMs });
    const starts = [0, random.between(1, 5), random.between(1, 8)];
    const killAt = random.between(6, 10);
    const tailers: (CountdProcess | undefined)[] = [];
    const start = (index: number) => startChild("tail", path, `${directory}/progress-${index}`);
    try {
      for (let portion = 0; portion < portions; portion++) {
        for (const [index, at] of starts.entries()) {
          if (at !== portion) continue;
          tailers[index] = start(index);
          await tailers[index].stdoutLine(/^ready$/, { deadlineMs });
        }
        await writer.writeStdin("\n");
        if (portion === killAt) {
          // The writer is still running: nothing waits for it.
          await tailers[0]?.kill();
          await tailers[0]?.[Symbol.asyncDispose]();
          tailers[0] = start(0);
        }
        const written = Math.min((portion + 1) * Math.ceil(records / portions), records);
        await writer.stdoutLine(new RegExp(`^wrote ${written}$`), { deadlineMs });
      }
      const [, size] = await writer.stdoutLine(/^end (\d+)$/, { deadlineMs });
      for (const tailer of tailers) {
        const end = await tailer?.stdoutLine(/^end (\d+) (\d+)$/, { deadlineMs });
        assertEquals([end?.[1], end?.[2]], [size, String(records)]);
        assertEquals((await tailer?.ended({ deadlineMs }))?.code, 0);
      }
      assertEquals((await writer.ended({ deadlineMs })).code, 0);
    } finally {
      for (const tailer of tailers) await tailer?.[Symbol.asyncDispose]();
    }
    assertChecks(path);
    assertEquals(storage.status(path).mode, 0o444);
  });
}

Deno.test("A follower sees what is published, then EOF, and cannot write", async () => {
  await withFile(async (path) => {
    using writer = Aof.open(storage, path, { geometry: creating(), shared: true });
    writer.write(text("before "));
    await using follower = Aof.follow(storage, path);
    assertEquals([follower.size, follower.publishedSize, follower.state], [7, 7, FileState.Opened]);
    const recorder = new Recorder();
    const tailer = follower.subscribeInterval(recorder, { intervalMs: 1 });
    writer.write(text("and after"));
    writer.write(new Uint8Array(20_000).fill(65));
    await waitUntil("all data", () => tailer.position === writer.size);
    assertEquals(tailer.state(), TailerState.Tail);
    assertEquals(follower.fileSize, writer.fileSize);
    assertEquals(recorder.text, textOf(dataOf(writer)));
    assertThrows(() => follower.write(text("x")), ErrFileIsReadOnly);
    assertThrows(() => follower.finish(), ErrFileIsReadOnly);
    writer.finish();
    await waitUntil("EOF", () => tailer.state() === TailerState.Eof);
    assertEquals(recorder.seen.filter(({ eof }) => eof).length, 1);
    assertEquals(follower.state, FileState.Eof);
  });
});

Deno.test("A file that is not shared cannot be followed", async () => {
  await withFile((path) => {
    using _writer = Aof.open(storage, path, { geometry: creating() });
    assertThrows(() => Aof.follow(storage, path), NotFoundError, "opened as shared");
  });
});

Deno.test("A side file that is being made, or is none, is told from one that is", async () => {
  await withFile((path) => {
    using _writer = Aof.open(storage, path, { geometry: creating() });
    const side = `${path}.size`;
    Deno.writeFileSync(side, new Uint8Array(10));
    assertThrows(() => Aof.follow(storage, path), BusyError, "being made");
    Deno.writeFileSync(side, new Uint8Array(4096));
    assertThrows(() => Aof.follow(storage, path), BusyError, "being made");
    Deno.writeFileSync(side, new Uint8Array(4096).fill(1));
    assertThrows(() => Aof.follow(storage, path), CorruptError, "not a side file");
    Deno.removeSync(side);
  });
});

Deno.test("A shared file goes on publishing when it is opened again without being asked", async () => {
  await withFile(async (path) => {
    {
      using writer = Aof.open(storage, path, { geometry: creating(), shared: true });
      writer.write(text("one"));
    }
    await using follower = Aof.follow(storage, path);
    using writer = Aof.open(storage, path);
    writer.write(text(" two"));
    assertEquals(follower.size, 3);
    follower.refresh();
    assertEquals([follower.size, textOf(dataOf(follower))], [7, "one two"]);
  });
});

Deno.test("A follower goes on when its writer comes back with a larger upper size", async () => {
  await withFile(async (path) => {
    {
      using writer = Aof.open(storage, path, { geometry: creating(8192), shared: true });
      writer.write(text("one"));
    }
    await using follower = Aof.follow(storage, path);
    assertEquals(follower.bytes.length, 8192);
    using writer = Aof.open(storage, path, { geometry: new Geometry({ sizeUpper: 2 ** 20 }) });
    writer.write(new Uint8Array(500_000).fill(66));
    follower.refresh();
    assertEquals([follower.size, follower.bytes.length], [500_003, 2 ** 20]);
    assertEquals(dataOf(follower), dataOf(writer));
  });
});

Deno.test("A follower whose file was replaced is closed and told why", async () => {
  await withFile(async (path) => {
    {
      using writer = Aof.open(storage, path, { geometry: creating(), shared: true });
      writer.write(text("the old file"));
    }
    await using follower = Aof.follow(storage, path);
    const recorder = new Recorder();
    follower.subscribeInterval(recorder, { intervalMs: 1 });
    await waitUntil("the old data", () => recorder.text === "the old file");
    Deno.removeSync(path);
    using writer = Aof.open(storage, path, { geometry: creating() });
    writer.write(text("the new file, which is longer"));
    await waitUntil("the close", () => recorder.closed.length === 1);
    assert(recorder.closed[0]?.reason instanceof ErrShrink);
    assertEquals(recorder.text, "the old file");
    await turns();
  });
});

Deno.test("A copy of a shared file is followed only when it was opened for appending", async () => {
  await withFile((path) => {
    {
      using writer = Aof.open(storage, path, { geometry: createFile(), shared: true });
      writer.write(text("data"));
    }
    Deno.copyFileSync(path, `${path}-copy`);
    Deno.copyFileSync(`${path}.size`, `${path}-copy.size`);
    assertThrows(() => Aof.follow(storage, `${path}-copy`), BusyError, "another file");
    Aof.open(storage, `${path}-copy`).close();
    Aof.follow(storage, `${path}-copy`).close();
    assertChecks(`${path}-copy`);
  });
});

Deno.test("The published size passes 4 GiB without ever being wrong", async () => {
  const { PublishedSize } = await import("../../src/aof/tail/published_size.ts");
  const bytes = new Uint8Array(16);
  const writer = new PublishedSize(bytes, 8);
  const reader = new PublishedSize(bytes, 8);
  for (const size of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 37 + 3, 2 ** 37 + 4]) {
    writer.store(size);
    assertEquals(reader.load(), size);
    assertEquals(new DataView(bytes.buffer).getBigInt64(8, true), BigInt(size));
  }
});

Deno.test("A side file of a newer format is refused by all, and stays as it is", async () => {
  await withFile((path) => {
    Aof.open(storage, path, { geometry: creating(), shared: true }).close();
    const sidePath = `${path}.size`;
    const newer = Deno.readFileSync(sidePath);
    newer.set(text("asz2"), 8);
    newer.fill(7, 3000, 3100);
    Deno.writeFileSync(sidePath, newer);
    const refusals = [
      () => Aof.open(storage, path),
      () => Aof.open(storage, path, { shared: true }),
      () => Aof.follow(storage, path),
      () => inspect(storage, path),
    ];
    for (const refusal of refusals) assertThrows(refusal, NewerFormatError, "use a newer countd");
    assertEquals(Deno.readFileSync(sidePath), newer);
    // Any other format is damage, and the next writer makes the side file anew.
    const other = new Uint8Array(newer.length);
    other.set(text("zsa9"), 8);
    Deno.writeFileSync(sidePath, other);
    using writer = Aof.open(storage, path, { shared: true });
    writer.write(text("data"));
    using reader = Aof.follow(storage, path);
    assertEquals(reader.size, 4);
  });
});

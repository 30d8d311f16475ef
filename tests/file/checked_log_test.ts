/**
 * The checked log by itself, over a file that is written by `pwrite`. Under the database it is mapped; the
 * tests of the database show that.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { OsError, type Storage, type StoredFile } from "../../src/file/mod.ts";
import {
  CheckedLog,
  endOfBytes,
  FRAME_CONTINUES,
  FRAME_HEAD_BYTES_MIN,
  FrameCursor,
  frameLayout,
  type FrameShape,
  type FrameStore,
  GroupCommit,
  hasFailedMark,
  keepTornTail,
  LogBytes,
  LogWindow,
  nextTornPath,
  putFailedMark,
  removeFailedMark,
  scanLog,
  syncOrMark,
  validFrames,
  WindowMemory,
} from "../../src/file/checked_log/mod.ts";
import { systemClock } from "../../src/base/clock.ts";
import { overridden } from "../support/overridden.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { Random, seedForTest } from "../support/random.ts";

const SEED = 0x1234_5678;

/** Frames with one field of the owner, which is never above 1000. */
const shape: FrameShape = {
  headBytes: FRAME_HEAD_BYTES_MIN + 8,
  magic: 0xabcd,
  isPlausible: ({ view }, start) => view.getUint32(start + FRAME_HEAD_BYTES_MIN, true) <= 1000,
};

/** The seam as a log has it that is not mapped: frames are made in a buffer and written whole. */
class WrittenStore implements FrameStore {
  readonly memory = new LogBytes(new Uint8Array(2 ** 16));

  constructor(readonly file: StoredFile) {}

  startOf(): number {
    return 0;
  }

  put(start: number, end: number, offset: number): void {
    this.file.write(this.memory.bytes.subarray(start, end), offset);
  }
}

interface Written {
  readonly storage: Storage;
  readonly file: StoredFile;
  readonly log: CheckedLog;
  append(text: string, flags?: number): number;
  /** The bytes of the file. */
  bytes(): Uint8Array;
}

function newLog(seed = SEED, open: (file: StoredFile) => StoredFile = (file) => file): Written {
  const storage = new SimulatedDisk().process("writer");
  const file = open(storage.open("/log", { access: "write", create: "exclusive" }));
  const store = new WrittenStore(file);
  const log = new CheckedLog(file, store, { shape, seed, tail: 0, durable: 0 });
  return {
    storage,
    file,
    log,
    append(text, flags = 0) {
      const { memory: { bytes, view } } = store;
      const { start } = log;
      view.setUint32(start + frameLayout.number.offset, text.length, true);
      view.setUint8(start + frameLayout.kind.offset, 7);
      view.setUint8(start + frameLayout.flags.offset, flags);
      view.setBigUint64(start + FRAME_HEAD_BYTES_MIN, BigInt(text.length), true);
      const body = start + shape.headBytes;
      const { written } = new TextEncoder().encodeInto(text, bytes.subarray(body));
      return log.append(body + written);
    },
    bytes() {
      const bytes = new Uint8Array(file.status().size);
      file.read(bytes, 0);
      return bytes;
    },
  };
}

function scan(bytes: Uint8Array, durable = 0, seed = SEED) {
  const found: number[] = [];
  const frames = new FrameCursor(new LogBytes(bytes), seed, shape);
  const range = { from: 0, limit: bytes.length, durable };
  const { tail, damage } = scanLog(frames, range, (frame) => void found.push(frame.number));
  return { tail, damage, found };
}

Deno.test("What was appended is found again, frame by frame, aligned and with the durable length of its time", async () => {
  const { log, append, bytes } = newLog();
  const random = new Random(seedForTest("checked log"));
  const offsets: number[] = [];
  const durables: number[] = [];
  for (let index = 0; index < 200; index++) {
    if (random.chance(0.2)) await log.sync();
    durables.push(log.durable);
    offsets.push(append("x".repeat(random.below(100))));
  }
  const frames = new FrameCursor(new LogBytes(bytes()), SEED, shape);
  let next = 0;
  for (const [index, offset] of offsets.entries()) {
    assertEquals(offset, next);
    assert(frames.at(offset, log.tail));
    assertEquals([frames.durable, frames.kind, frames.continues], [durables[index], 7, false]);
    next = frames.end;
    assertEquals(next % 8, 0);
  }
  assertEquals([next, scan(bytes()).tail], [log.tail, log.tail]);
});

Deno.test("A log that is read in parts has the same frames as the whole", async () => {
  const { file, log, append } = newLog();
  for (let index = 0; index < 50; index++) {
    append("x".repeat(index));
    await log.sync();
  }
  for (const windowBytes of [96, 200, 1024, log.tail]) {
    const memory = new WindowMemory(windowBytes);
    const window = new LogWindow(memory, { file, path: "/log", size: log.tail });
    const found: number[] = [];
    const range = { from: 0, limit: log.tail, durable: 0 };
    const frames = new FrameCursor(window, SEED, shape);
    const { tail } = scanLog(frames, range, ({ number }) => void found.push(number));
    assertEquals(tail, log.tail);
    assertEquals(found, Array.from({ length: 50 }, (_, index) => index));
  }
});

Deno.test("One inverted bit anywhere in a frame is found", () => {
  const { append, bytes } = newLog();
  append("hello, frame");
  const whole = bytes();
  for (let bit = 0; bit < 8 * whole.length; bit++) {
    const broken = whole.slice();
    broken[bit >> 3] = broken[bit >> 3] as number ^ (1 << (bit & 7));
    assertEquals(
      new FrameCursor(new LogBytes(broken), SEED, shape).at(0, broken.length),
      false,
      `bit ${bit}`,
    );
  }
});

Deno.test("A frame of an earlier use, of another log or from another place is never valid", () => {
  const earlier = newLog(SEED);
  for (const text of ["one", "two", "six"]) earlier.append(text);
  const old = earlier.bytes();
  for (let bit = 0; bit < 32; bit++) {
    // The next use has another seed, and writes over the first frame only.
    const seed = (SEED ^ (1 << bit)) >>> 0;
    const next = newLog(seed);
    next.append("new");
    const file = old.slice();
    file.set(next.bytes());
    assertEquals(scan(file, 0, seed), { tail: next.log.tail, damage: null, found: [3] });
  }
  const frameBytes = old.length / 3;
  const moved = new Uint8Array(2 * old.length);
  for (let place = 8; place + frameBytes <= moved.length; place += 8) {
    moved.fill(0).set(old.subarray(0, frameBytes), place);
    assertEquals(new FrameCursor(new LogBytes(moved), SEED, shape).at(place, moved.length), false);
  }
});

Deno.test("A frame whose owner finds it impossible costs no checksum and is none", () => {
  const { append, bytes } = newLog();
  append("y".repeat(1001));
  assertEquals(scan(bytes()).found, []);
});

Deno.test("A length that reaches beyond the log makes no frame, and nothing behind the end is read", () => {
  const { append, bytes } = newLog();
  append("one");
  const whole = bytes();
  for (const length of [0, 8, 31, 33, whole.length + 8, 2 ** 31, 2 ** 32 - 8]) {
    const broken = whole.slice();
    new DataView(broken.buffer).setUint32(0, length, true);
    assertEquals(scan(broken), { tail: 0, damage: null, found: [] });
  }
  for (let limit = 0; limit < whole.length; limit++) {
    assertEquals(scan(whole.slice(0, limit)).tail, 0);
  }
});

Deno.test("A broken frame is a torn tail, and damage if a frame behind it or the owner knows better", async () => {
  const { log, append, bytes } = newLog();
  append("one");
  const second = append("two");
  const end = log.tail;
  append("three");
  const torn = bytes();
  torn[second + 33] = 0xff;
  assertEquals(scan(torn), { tail: second, damage: null, found: [3] });
  assertEquals(endOfBytes(torn, second), torn.length);
  assertEquals(scan(torn, second + 8).damage, { offset: second, durable: second + 8 });
  await log.sync();
  append("four, which knows that all before it is durable");
  const damaged = bytes();
  damaged[second + 33] = 0xff;
  assertEquals(scan(damaged).damage, { offset: second, durable: end + (end - second) });
  const frames = new FrameCursor(new LogBytes(damaged), SEED, shape);
  assertEquals([...validFrames(frames, 0, damaged.length)].length, 3);
});

Deno.test("A step whose last frame is missing does not count", () => {
  const { log, append, bytes } = newLog();
  append("one");
  const step = append("two", FRAME_CONTINUES);
  append("three", FRAME_CONTINUES);
  assertEquals(scan(bytes()), { tail: step, damage: null, found: [3] });
  append("four");
  assertEquals(scan(bytes()), { tail: log.tail, damage: null, found: [3, 3, 5, 4] });
});

Deno.test("A frame that could not be written does not count, and the next one takes its place", () => {
  let isFull = false;
  const { log, append, bytes } = newLog(SEED, (file) =>
    overridden(file, {
      write(bytes, offset) {
        if (isFull) throw new OsError("write", "/log", "ENOSPC");
        file.write(bytes, offset);
      },
    }));
  append("one");
  const { tail } = log;
  isFull = true;
  assertThrows(() => append("two"), OsError);
  assertEquals(log.tail, tail);
  isFull = false;
  assertEquals(append("six"), tail);
  assertEquals(scan(bytes()).found, [3, 3]);
});

Deno.test("A failed sync is never tried again", async () => {
  let calls = 0;
  const failing = (file: StoredFile) =>
    overridden(file, {
      syncDataAsync() {
        calls++;
        return Promise.reject(new OsError("fdatasync", "/log", "EIO"));
      },
      syncData: () => void calls++,
    });
  const { log, append } = newLog(SEED, failing);
  append("one");
  const first = await assertRejects(() => log.sync(), OsError);
  assertEquals(await assertRejects(() => log.sync(), OsError), first);
  assertEquals(assertThrows(() => log.syncNow(), OsError), first);
  assertEquals([calls, log.durable], [1, 0]);
});

Deno.test("All that wait during a sync share the next one, and all of them hear of a failure", async () => {
  let tail = 0;
  let durable = 0;
  const running: PromiseWithResolvers<void>[] = [];
  const log = {
    get tail() {
      return tail;
    },
    get durable() {
      return durable;
    },
    async sync() {
      const end = tail;
      running.push(Promise.withResolvers());
      await running.at(-1)?.promise;
      durable = end;
    },
  };
  const failures: unknown[] = [];
  const commit = new GroupCommit(log, {
    mode: "os",
    intervalMs: 1000,
    clock: systemClock,
    onDurable: () => {},
    onFailure: (error) => failures.push(error),
  });
  const answered: number[] = [];
  const wait = async (offset: number) => {
    tail = offset;
    await commit.whenDurable(offset);
    answered.push(offset);
  };
  const waits = [wait(1)];
  for (let offset = 2; offset <= 5; offset++) waits.push(wait(offset));
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  running[0]?.resolve();
  await turn();
  assertEquals([answered, running.length], [[1], 2]);
  running[1]?.resolve();
  await Promise.all(waits);
  assertEquals([answered, commit.syncs], [[1, 2, 3, 4, 5], 2]);
  const failed = [wait(6), wait(7)].map((one) => assertRejects(() => one, Error, "broken"));
  running[2]?.reject(new Error("broken"));
  await Promise.all(failed);
  await assertRejects(() => commit.whenDurable(8), Error, "broken");
  assertEquals([failures.length, running.length], [1, 3]);
});

Deno.test("What becomes durable by another sync is answered, and what the owner fails is rejected with its reason", async () => {
  const log = {
    tail: 2,
    durable: 0,
    running: Promise.withResolvers<void>(),
    sync: () => log.running.promise,
  };
  const commit = new GroupCommit(log, {
    mode: "os",
    intervalMs: 1000,
    clock: systemClock,
    onDurable: () => {},
    // The reason of the owner comes before what the sync threw.
    onFailure: () => commit.fail(new Error("marked failed")),
  });
  const first = commit.whenDurable(1);
  const second = assertRejects(() => commit.whenDurable(2), Error, "marked failed");
  log.durable = 1;
  commit.resolveDurable();
  await first;
  log.running.reject(new Error("broken"));
  await second;
  await assertRejects(() => commit.whenDurable(2), Error, "marked failed");
  assertEquals(commit.syncs, 0);
});

Deno.test("A torn tail is kept under the first number that is free, and not at all on a full disk", () => {
  const { storage } = newLog();
  const read = (path: string) => {
    using file = storage.open(path, { access: "read" });
    const bytes = new Uint8Array(file.status().size);
    file.read(bytes, 0);
    return [...bytes];
  };
  const log = new LogBytes(new Uint8Array([0, 1, 2, 3]));
  for (const [path, from, to] of [["/log.torn-1", 1, 3], ["/log.torn-2", 3, 4]] as const) {
    assertEquals(nextTornPath(storage, "/log.torn-"), path);
    keepTornTail(storage, path, log, { from, to });
  }
  assertEquals([read("/log.torn-1"), read("/log.torn-2")], [[1, 2], [3]]);
  const full = overridden<Storage>(storage, {
    open: (path, options) =>
      overridden(storage.open(path, options), {
        write() {
          throw new OsError("write", path, "ENOSPC");
        },
      }),
  });
  for (const path of ["/log.torn-2", "/log.torn-3"]) {
    assertThrows(() => keepTornTail(full, path, log, { from: 0, to: 4 }), OsError);
  }
  assertEquals(storage.statusOrNull("/log.torn-3"), null);
  assertEquals(read("/log.torn-2"), [3], "an earlier copy stays");
});

Deno.test("A sync that fails before a log is served leaves the mark, and a lack of descriptors leaves none", () => {
  const { storage } = newLog();
  const mark = "/log.failed";
  const run = (error: Error | null) =>
    syncOrMark(() => {
      if (error !== null) throw error;
    }, (reason) => putFailedMark(storage, mark, reason));
  run(null);
  assertThrows(() => run(new OsError("open", "/", "EMFILE")), OsError);
  assertEquals(hasFailedMark(storage, mark), false);
  assertThrows(() => run(new OsError("fsync", "/log", "EIO")), OsError);
  assertEquals(hasFailedMark(storage, mark), true);
  removeFailedMark(storage, mark);
  removeFailedMark(storage, mark);
  assertEquals(hasFailedMark(storage, mark), false);
});

Deno.test("A search skips zeros to the next unit that may begin a frame, however many there are", () => {
  for (const at of [8, 65_528, 65_536, 65_544, 150_000, 199_992]) {
    const bytes = new Uint8Array(200_000);
    const log = new LogBytes(bytes);
    assertEquals(log.skipZeros(8, bytes.length), bytes.length);
    bytes[at + 2] = 1;
    assertEquals(log.skipZeros(8, bytes.length), at);
    assertEquals(log.skipZeros(at, bytes.length), at);
    assertEquals(log.skipZeros(8, at), at);
    assertEquals(log.skipZeros(at + 8, bytes.length), bytes.length);
  }
});

/**
 * What readers see of logs, before any recovery. The live words are not synced with the logs, so after a
 * power cut a word may be older than durable frames, and it may be newer than what is left of them.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  ActiveLog,
  DataDirectory,
  HEAD_PAGE_BYTES,
  listSlots,
  LogReader,
} from "../../src/counters/commitlog/mod.ts";
import { changeOf } from "../../src/counters/commitlog/header.ts";
import { RecordCursor } from "../../src/counters/wire/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { overridden } from "../support/overridden.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { CounterOracle, type Totals } from "./counter_oracle.ts";
import {
  counterSubject,
  DATA,
  OneBatch,
  openPool,
  someHolder,
  type WriterStep,
} from "./counter_subject.ts";
import { explore, exploreCounted, type Subject } from "./explore.ts";
import { workerFold } from "./worker_fold.ts";

const append: WriterStep = { do: "append", keyspaces: ["one", "two"] };
const sync: WriterStep = { do: "sync" };
const steps: readonly WriterStep[] = [
  append,
  append,
  sync,
  append,
  sync,
  append,
  { do: "seal", sync: true },
  append,
  sync,
  append,
];

/** Adds the records of a batch to the totals. */
function count(totals: Map<string, Map<string, bigint>>, batch: Uint8Array): void {
  const text = (start: number, length: number) =>
    new TextDecoder().decode(batch.subarray(start, start + length));
  const keyspaces: string[] = [];
  const cursor = new RecordCursor(batch, 0, batch.length);
  while (cursor.next()) {
    const name = text(cursor.nameStart, cursor.nameLength);
    if (cursor.keyspace === keyspaces.length) {
      keyspaces.push(name);
      continue;
    }
    const keyspace = keyspaces[cursor.keyspace]!;
    const counters = totals.get(keyspace) ?? new Map<string, bigint>();
    totals.set(keyspace, counters);
    const increment = (BigInt(cursor.incrementHigh) << 32n) | BigInt(cursor.incrementLow >>> 0);
    counters.set(name, (counters.get(name) ?? 0n) + increment);
  }
}

/** What a new reader finds in the logs. Planted: it trusts the live word of an active log. */
function readLogs(storage: Storage, trustsWord: boolean): Totals {
  const totals = new Map<string, Map<string, bigint>>();
  using directory = DataDirectory.open(storage, DATA, { self: someHolder });
  for (const slot of listSlots(storage, directory.paths.logs).slots) {
    using reader = LogReader.open(directory, slot);
    let capture = reader?.capture() ?? null;
    if (reader === null || capture === null || capture.state === "free") continue;
    if (trustsWord && capture.state === "active") {
      const { live } = directory.control;
      live.load(slot);
      const isOwn = live.change === changeOf(reader.header()!);
      capture = { ...capture, limit: isOwn ? live.tail : HEAD_PAGE_BYTES };
    }
    reader.readFrames(capture, HEAD_PAGE_BYTES, (bytes, start, end) => {
      count(totals, bytes.slice(start, end));
    });
  }
  return totals;
}

function readingSubject(trustsWord: boolean): Subject<CounterOracle> {
  const subject = counterSubject("live words", { steps: () => steps, fold: workerFold, logs: 2 });
  return {
    ...subject,
    recover: async (disk, oracle) => {
      oracle.judge(readLogs(disk.process("reader"), trustsWord));
      await subject.recover(disk, oracle);
    },
  };
}

const readings = new FullCount("readings after a power cut");

Deno.test("After a power cut a reader sees everything that was durable, before any recovery", async () => {
  await exploreCounted(readingSubject(false), readings, { normal: { every: 3 }, full: {} });
});

Deno.test("Planted bug is caught: a reader that trusts the live word after a power cut", async () => {
  await assertRejects(() => explore(readingSubject(true)), Error, "was acknowledged and is lost");
});

/** A frame is held back until the next write, which is that of the live word. */
function wordBeforeFrame(inner: Storage, between: () => void): Storage {
  let heldBack: (() => void) | null = null;
  return overridden(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      return overridden(file, {
        write(bytes, offset) {
          if (path.includes("/logs/") && offset >= HEAD_PAGE_BYTES) {
            const frame = bytes.slice();
            heldBack = () => file.write(frame, offset);
            return;
          }
          file.write(bytes, offset);
          if (heldBack === null) return;
          between();
          heldBack();
          heldBack = null;
        },
      });
    },
  });
}

/** A reader looks while a frame is being appended, and then again: it must see the frame. */
async function lookDuringAppend(plant: (inner: Storage, between: () => void) => Storage) {
  const disk = new SimulatedDisk();
  const prepared = await openPool(disk.process("prepare"));
  prepared.directory.close();
  using directory = DataDirectory.open(disk.process("reader"), DATA, { self: someHolder });
  let reader: LogReader | null = null;
  let capture: ReturnType<LogReader["capture"]> = null;
  let read = HEAD_PAGE_BYTES;
  let records = 0;
  let looks = 0;
  const look = () => {
    looks++;
    if (reader === null || (capture !== null && !reader.hasChanged(capture))) return;
    capture = reader.capture();
    assert(capture !== null);
    read = reader.readFrames(capture, read, () => records++);
  };
  const pool = await openPool(plant(disk.process("writer"), look));
  const active = await pool.claim();
  assert(active instanceof ActiveLog);
  reader = LogReader.open(directory, active.slot);
  look();
  for (let frame = 1; frame <= 3; frame++) {
    active.append(new OneBatch(new CounterOracle().send(["one"])));
    look();
    assertEquals(records, frame, "a frame that was appended is not seen");
  }
  assert(looks > 6, "the reader looked between frame and live word");
}

/** The same without the bug: the reader looks between the frame and the live word. */
function lookBetween(inner: Storage, between: () => void): Storage {
  return overridden(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      return overridden(file, {
        write(bytes, offset) {
          file.write(bytes, offset);
          if (path.includes("/logs/") && offset >= HEAD_PAGE_BYTES) between();
        },
      });
    },
  });
}

Deno.test("A reader that looks between a frame and its live word sees the frame at the next look", async () => {
  await lookDuringAppend(lookBetween);
});

Deno.test("Planted bug is caught: the live word stored before its frame", async () => {
  await assertRejects(
    () => lookDuringAppend(wordBeforeFrame),
    Error,
    "a frame that was appended is not seen",
  );
});

// Story: a log that was removed or repaired begins again with sequence 1, and its word still had a tail.
Deno.test("A claim never leaves a reader with the tail of another log in its slot", async () => {
  const disk = new SimulatedDisk();
  const prepared = await openPool(disk.process("prepare"));
  const { live } = prepared.directory.control;
  for (const slot of [0, 1]) live.store(slot, { change: 2, tail: 8192 });
  prepared.directory.close();
  using directory = DataDirectory.open(disk.process("reader"), DATA, { self: someHolder });
  const limits: number[] = [];
  const storage = disk.process("writer");
  const pool = await openPool(overridden(storage, {
    open(path, options) {
      const file = storage.open(path, options);
      return overridden(file, {
        write(bytes, offset) {
          file.write(bytes, offset);
          if (!path.includes("/logs/")) return;
          using reader = LogReader.open(directory, Number(path.slice(-10)))!;
          const capture = reader.capture();
          if (capture?.state === "active") limits.push(capture.limit);
        },
      });
    },
  }));
  const active = await pool.claim();
  assert(active instanceof ActiveLog);
  active.append(new OneBatch(new CounterOracle().send(["one"])));
  assertEquals(limits, [HEAD_PAGE_BYTES, active.tail]);
});

Deno.test("A live word that is damaged costs no frame, and the next append stores it again", async () => {
  const disk = new SimulatedDisk();
  const pool = await openPool(disk.process("writer"));
  const active = await pool.claim();
  assert(active instanceof ActiveLog);
  const oracle = new CounterOracle();
  const write = () => {
    const batch = oracle.send(["one"]);
    active.append(new OneBatch(batch));
    batch.acknowledged = true;
  };
  write();
  const word = 8208 + 16 * active.slot;
  const storage = disk.process("reader");
  using directory = DataDirectory.open(storage, DATA, { self: someHolder });
  directory.control.file.write(Uint8Array.of(0xff), word);
  using reader = LogReader.open(directory, active.slot)!;
  const first = reader.capture()!;
  assertEquals(first.limit, active.tail, "the frames are found without the word");
  assert(reader.hasChanged(first), "a damaged word never says that nothing has moved");
  write();
  const second = reader.capture()!;
  assertEquals(second.limit, active.tail);
  assert(!reader.hasChanged(second));
  oracle.judge(readLogs(storage, false));
  assertThrows(() => oracle.judge(new Map()), Error);
});
